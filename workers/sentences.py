"""Speaking the sentences of a job through the batches, resumable by the sentence."""

from __future__ import annotations

import zlib
from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.files import Store
from jobs.record import Blob, Warn
from jobs.states import Priority
from speech.audio import to_int16
from speech.errors import TextError
from speech.subtitles import Cue
from speech.text import Sentence
from speech.timing import Timeline
from speech.tts import Line, Utterance
from workers.batching import BatchScheduler
from workers.catalogue import Chosen, VoiceEntry, choose_voice
from workers.session import JobFailed, Session
from workers.units import run_units
from workers.voices import Row

FRONT_END_SPEAKER = "$F7}"
"""What the front end writes into every symbol; the wanted speaker takes its place (specification section 1.3)."""


@dataclass(frozen=True)
class Spoken:
    """A finished sentence: where its samples are, and the durations (mel frames) that its times follow from.

    The silence behind it, and before it (the first one's only), whether it is the first, and the index of the next one
    (-1: it is the last) are there for those who play the job while it is being made.
    """

    blob: Blob
    samples: int
    durations: tuple[int, ...]
    pause_ms: int = 0
    lead_ms: int = 0
    first: bool = False
    next: int = -1

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for the journal."""
        return {
            "blob": self.blob.to_json(),
            "samples": self.samples,
            "durations": list(self.durations),
            "pause_ms": self.pause_ms,
            "lead_ms": self.lead_ms,
            "first": self.first,
            "next": self.next,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Spoken:
        """Return what `to_json` wrote."""
        return cls(Blob.from_json(value["blob"]), value["samples"], tuple(value["durations"]))


class SentenceRun:
    """The sentences of one job under way.

    Each finished one is stored as 16-bit PCM (a blob of the job) and entered in the journal, so that a next attempt
    goes on behind it. A lone sentence is kept in memory: it has nothing to resume from.
    """

    def __init__(
        self,
        session: Session,
        scheduler: BatchScheduler[Row, Utterance],
        store: Store,
        voices: Mapping[str, VoiceEntry],
        *,
        strict: bool,
    ) -> None:
        self._session = session
        self._scheduler = scheduler
        self._store = store
        self._voices = voices
        self._strict = strict
        self._sentences: Sequence[Sentence] = ()
        self._total = 0
        self._next: dict[int, int] = {}
        self._gaps: dict[int, int] = {}
        self._spoken: dict[int, Spoken] = {}
        self._rows: list[tuple[str, Row]] = []
        self._lone_pcm: bytes | None = None
        self.warnings: list[Warn] = []

    def prepare(self, sentences: Sequence[Sentence], default: Chosen) -> int:
        """Look what is not yet spoken, and return how many sentences that is.

        Raises `Stop`, or `JobFailed` if nothing can be spoken, or not all and the job is strict.
        """
        self._sentences = sentences
        todo = {index: one for index, one in enumerate(sentences) if one.symbols}
        self._check_speakable(todo)
        self._total = len(todo)
        self._next = dict(zip(todo, [*list(todo)[1:], -1], strict=True))
        self._gaps = dict(zip([-1, *todo], gaps_of(sentences, todo), strict=True))
        journal = {int(name): Spoken.from_json(unit) for name, unit in self._session.units().items()}
        self._spoken = {index: unit for index, unit in journal.items() if index in todo}
        self._session.progress(len(self._spoken), self._total, "sentence")
        self._rows = [(str(i), self._row(i, one, default)) for i, one in todo.items() if i not in self._spoken]
        return len(self._rows)

    def speak(self, *, window: int) -> None:
        """Speak what is left, at most `window` sentences at once in the scheduler. Raises what `prepare` raises."""
        # Somebody may listen to an interactive job while it is made: its first sentence waits for no batch of all.
        is_heard = self._session.job.priority <= Priority.INTERACTIVE.step
        first = 1 if is_heard else 0
        run_units(self._session, self._scheduler, self._rows[:first], self._done, window=1)
        run_units(self._session, self._scheduler, self._rows[first:], self._done, window=window)
        if not self._spoken:
            raise JobFailed("nothing_to_speak", "Nothing to speak", self.warnings[-1].detail)

    def _check_speakable(self, todo: Mapping[int, Sentence]) -> None:
        for index, sentence in enumerate(self._sentences):
            self.warnings += [Warn("text", warning, index) for warning in sentence.warnings]
        if not todo:
            raise JobFailed("nothing_to_speak", "Nothing to speak", "text: holds nothing that can be spoken")
        if self._strict and self.warnings:
            raise JobFailed("strict", "Not all can be spoken", f"text: {self.warnings[0].detail} (strict is set)")

    def _row(self, index: int, sentence: Sentence, default: Chosen) -> Row:
        chosen = default if sentence.style.voice is None else choose_voice(self._voices, sentence.style.voice)
        check_emotion(sentence.style.emotion, chosen)
        check_rate(chosen, default)
        symbols = sentence.symbols
        if chosen.speaker:
            symbols = symbols.replace(FRONT_END_SPEAKER, f"${chosen.speaker}}}")
        # The noise of an NSF voice is seeded by the sentence, so a resumed job sounds like an undisturbed one.
        seed = zlib.crc32(f"{index}:{symbols}".encode())
        return Row(chosen.voice.name, Line(symbols, sentence.style.speed, seed))

    def _done(self, name: str, future: Future[Utterance]) -> None:
        index = int(name)
        try:
            utterance = future.result()
        except TextError as error:  # any other fault is the engine's: the next sentence would meet it, too
            self._leave_out(index, error)
            return
        pcm = to_int16(utterance.audio).astype("<i2").tobytes()
        durations = tuple(int(frames) for frames in utterance.durations)
        if self._total == 1:
            self._lone_pcm = pcm
            self._spoken[index] = Spoken(Blob("", len(pcm)), len(utterance.audio), durations)
            return
        blob = self._store.put(self._session.job.id, pcm)
        is_first = index == min(self._next)
        lead, pause = self._gaps[-1] if is_first else 0, self._gaps[index]
        spoken = Spoken(blob, len(utterance.audio), durations, pause, lead, is_first, self._next[index])
        self._spoken[index] = spoken
        self._session.register(name, spoken.to_json(), done=len(self._spoken), total=self._total)

    def _leave_out(self, index: int, error: TextError) -> None:
        text = self._sentences[index].text[:40]
        if self._strict:
            raise JobFailed(error.code, "A sentence cannot be spoken", f"{text!r}: {error.detail}") from error
        self.warnings.append(Warn(error.code, f"left out {text!r}: {error.detail}", index))

    @property
    def sentences(self) -> list[Sentence]:
        """The sentences that were spoken, in order."""
        return [self._sentences[index] for index in sorted(self._spoken)]

    @property
    def left_out(self) -> list[str]:
        """The texts of the sentences that were not spoken, in order; `warnings` say why."""
        return [one.text for index, one in enumerate(self._sentences) if index not in self._spoken]

    def gaps(self) -> list[int]:
        """Return the milliseconds of silence before the first spoken sentence and after each."""
        return gaps_of(self._sentences, self._spoken)

    def cues(self, rate: int) -> list[Cue]:
        """Return the times of the spoken sentences and their words in what `audio` yields."""
        first, *gaps = self.gaps()
        timeline, found = Timeline(rate), []
        timeline.pause(first / 1000)
        for (index, spoken), gap in zip(sorted(self._spoken.items()), gaps, strict=True):
            durations = np.asarray(spoken.durations, np.int32)
            hop = spoken.samples // max(1, int(durations.sum()))
            found.append(timeline.add(self._sentences[index], spoken.samples, durations, hop))
            timeline.pause(gap / 1000)
        return found

    def audio(self) -> Iterator[NDArray[np.int16]]:
        """Yield the audio to which `gaps` belong: nothing for the first one, then the spoken sentences, in order."""
        yield np.zeros(0, np.int16)
        for index in sorted(self._spoken):
            self._session.insist()
            yield np.frombuffer(self._pcm(index), "<i2").astype(np.int16, copy=False)

    def _pcm(self, index: int) -> bytes:
        if self._lone_pcm is not None:
            return self._lone_pcm
        with self._store.open(self._session.job.id, self._spoken[index].blob) as file:
            return file.read()

    def discard_units(self) -> None:
        """Remove the sentences' blobs, after the result is committed."""
        keys = [spoken.blob.key for spoken in self._spoken.values() if spoken.blob.key]
        self._store.remove(self._session.job.id, keys)


def gaps_of(sentences: Sequence[Sentence], spoken: Container[int]) -> list[int]:
    """Return the milliseconds of silence before the first spoken sentence and after each.

    A sentence that is not spoken may hold a pause that was asked for; it lengthens the one before it.
    """
    gaps = [0]
    for index, sentence in enumerate(sentences):
        if index in spoken:
            gaps.append(sentence.pause_ms)
        else:
            gaps[-1] += sentence.pause_ms
    return gaps


def check_emotion(wanted: str, chosen: Chosen) -> None:
    """Raise `JobFailed` if a voice has no such emotion; every voice is taken to have `neutral`."""
    known = chosen.voice.emotions
    if known and wanted not in known and wanted != "neutral":
        raise JobFailed(
            "unknown_emotion",
            "Unknown emotion",
            f"emotion: {chosen.voice.name} has no {wanted!r}; it has {', '.join(known)}",
        )


def check_rate(chosen: Chosen, default: Chosen) -> None:
    """Raise `JobFailed` if a second voice in a recording has another sample rate than the first."""
    one, other = default.voice, chosen.voice
    if one.sample_rate != other.sample_rate:
        raise JobFailed(
            "voices_differ",
            "The voices do not fit together",
            f"voice: {one.name} has {one.sample_rate} Hz and {other.name} {other.sample_rate} Hz; "
            "in one recording they must be the same",
        )
