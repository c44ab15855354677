"""The voices as an engine of the batch scheduler: loaded once per process, on the engine thread, and warmed up."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.settings import Settings, settings
from jobs.words import read_words
from speech.errors import ModelError, TextError
from speech.text import FrontEnd
from speech.text.closed import ClosedFrontEnd, is_available
from speech.tts import Line, Utterance, Voice
from speech.tts.hub import model_folder, voice_names
from workers.catalogue import VoiceEntry
from workers.memory import empty_cuda_cache, limit_cuda_memory
from workers.reuse import checkpoint

log = logging.getLogger(__name__)
WARM_UP_SYMBOLS = (
    "{n_c$tone3$s_begin$word_begin$emotion_neutral$F7} {i_c$tone3$s_end$word_middle$emotion_neutral$F7} "
    "{h_c$tone3$s_begin$word_middle$emotion_neutral$F7} {ao_c$tone3$s_end$word_end$emotion_neutral$F7} "
    "{#4$tone_none$s_none$word_none$emotion_none$F7}"
)
"""你好 as symbols."""
CPU_ROWS = 16
"""For each core, which has rows of its own. Encoder, decoder and postnet of a voice of the real size take 0.92 s
of processor time a sentence one by one, 0.32 s with 8 rows a core, 0.22 s with 16 and 0.18 s with 32; the vocoder 1.6 s
with any. Who is in a hurry waits for the decoder to end and then for one row."""
CANDIDATES = 8
"""Batches of sentences among which a book lets the scheduler choose those of like length."""


AnyFrontEnd = FrontEnd | ClosedFrontEnd


@functools.cache
def front_end() -> AnyFrontEnd:
    """Return the front end of this process; it is thread-safe.

    Raises `TextError` for a bad dictionary, `ModelError` if the closed one was asked for and cannot be had.
    """
    wanted = settings()
    if wanted.tts_front_end == "own" or (wanted.tts_front_end == "auto" and not is_available()):
        return _own_front_end(wanted)
    try:
        return _closed_front_end(wanted)
    except ModelError as error:
        if wanted.tts_front_end == "ttsfrd":
            raise
        log.warning("our own front end is used: %s", error.detail)
        return _own_front_end(wanted)


def _own_front_end(wanted: Settings) -> FrontEnd:
    if not wanted.tts_dictionary:
        return FrontEnd()
    try:
        words = read_words(Path(wanted.tts_dictionary))
    except (OSError, UnicodeDecodeError) as error:
        detail = f"the dictionary file {wanted.tts_dictionary} cannot be read: {error}"
        raise TextError(detail, code="bad_dictionary") from error
    return FrontEnd(words)


def _closed_front_end(wanted: Settings) -> ClosedFrontEnd:
    if wanted.tts_dictionary:
        raise ModelError(
            "ttsfrd reads no dictionary of words: unset VOXQUEUE_TTS_DICTIONARY, or set VOXQUEUE_TTS_FRONT_END=own",
            code="bad_option",
        )
    return ClosedFrontEnd(wanted.tts_front_end_resource or model_folder(wanted.tts_voice) / "resource")


@dataclass(frozen=True)
class Row:
    """A row of a TTS batch: a sentence for one voice (any of its speakers)."""

    voice: str
    line: Line


class VoiceEngine:
    """Renders sentences with the voices of one model; the rows of a batch have one voice."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._voices: dict[str, Voice] = {}
        self.entries: dict[str, VoiceEntry] = {}
        """What the voices offer; stays after an unload."""
        self._facts: dict[str, Any] = {}

    def good_rows(self, threads: int) -> int:
        """Return the rows beyond which a batch only takes longer, and keeps who is in a hurry waiting."""
        wanted = self._settings.tts_batch_rows
        return min(wanted, CPU_ROWS * threads) if self._settings.device == "cpu" else wanted

    def load(self) -> None:
        """Load all voices of the configured model. Raises `ModelError`, `DeviceError`, or `TextError` (dictionary)."""
        front_end()
        began = time.monotonic()
        settings = self._settings
        limit_cuda_memory(settings.gpu_memory_share)
        for name in voice_names(settings.tts_voice):
            voice = Voice.load(
                settings.tts_voice,
                name=name,
                device=settings.device,
                precision=settings.tts_precision,
                vocoder=settings.vocoder,
            )
            self._voices[voice.name] = voice
            log.info("voice %s: %s", voice.name, voice.report())
        loaded = time.monotonic()
        for voice in self._voices.values():
            voice.render([WARM_UP_SYMBOLS])
        self.entries = {
            name: VoiceEntry(name, tuple(voice.speakers), tuple(voice.emotions), voice.sample_rate)
            for name, voice in self._voices.items()
        }
        self._facts = {
            **next(iter(self._voices.values())).report(),
            "model": settings.tts_voice,
            "load_seconds": round(loaded - began, 3),
            "warmup_seconds": round(time.monotonic() - loaded, 3),
        }

    def unload(self) -> None:
        """Free the memory; the next batch loads again."""
        self._voices.clear()
        empty_cuda_cache()

    def trim(self) -> None:
        """Give unused device memory back after running out of it, captured graphs first."""
        for voice in self._voices.values():
            voice.trim()
        empty_cuda_cache()

    def cost(self, payload: Row) -> int:
        """Return the expected mel frames."""
        voice = self._voices.get(payload.voice)
        return voice.frames(payload.line) if voice else 10 * payload.line.symbols.count("{") + 1

    def bucket(self, payload: Row) -> Hashable:
        """Sentences of one voice share a batch."""
        return payload.voice

    def run(self, payloads: Sequence[Row]) -> Iterator[tuple[int, Utterance]]:
        """Render a batch; yield the place and the utterance of each row when it is done."""
        return self._voices[payloads[0].voice].render_each([payload.line for payload in payloads])

    def warm_up_tasks(self) -> None:
        """Load the front end's word lists."""
        front_end().sentences("热身。")

    def identity(self) -> dict[str, Any]:
        """Return what decides, beside the text and its options, how it sounds. A text may name any of the voices."""
        settings = self._settings
        return {
            "voices": checkpoint(model_folder(settings.tts_voice)),
            "precision": settings.tts_precision,
            "vocoder": settings.vocoder,
            "readings": front_end().readings,
        }

    def offers(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return what to add to the catalogue of voices."""
        default = next(iter(self.entries), None)
        facts = {"model": self._settings.tts_voice}
        return "voices", {
            name: {**entry.to_json(), **facts, "default": name == default} for name, entry in self.entries.items()
        }

    def report(self) -> dict[str, Any]:
        """Return device, precision, engine and times for `/v1/workers`."""
        return self._facts
