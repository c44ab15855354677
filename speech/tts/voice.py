"""A voice: a folder with an acoustic model and a vocoder, speaking batches of symbol lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from speech.device import Device, resolve_device
from speech.errors import ModelError, TextError
from speech.tts.acoustic import PADDED, AcousticInput, Sambert, Spoken, load_acoustic
from speech.tts.crew import Crew, share_out
from speech.tts.graphs import GraphedSource
from speech.tts.hub import VoiceFolder, resolve_voice
from speech.tts.symbols import emotion_names
from speech.tts.vocoding import Vocoder, load_vocoding

# Frames per symbol assumed until the voice has spoken: read Mandarin at a hop of 12.5 ms.
USUAL_FRAMES_PER_SYMBOL = 9.0
SPEEDS = (0.25, 4.0)
SLOTS = {"cpu": 32, "cuda": 256}
# A step of 8 rows takes half as long again as one of 4: with no more rows than these a second core is not worth it.
ROWS_WORTH_A_CORE = 8


@dataclass(frozen=True)
class Line:
    """One line to speak: KAN-TTS symbols ``{..} {..}`` (with or without ``index<TAB>``), speed, and noise seed."""

    symbols: str
    speed: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Utterance:
    """What was spoken: ``audio`` float32 [samples] in -1..1; ``durations`` int32 [symbols] in mel frames.

    ``durations`` counts ``hop_length`` samples each and sums to the audio; an inserted filled pause belongs to the
    symbol behind it.
    """

    audio: NDArray[np.float32]
    durations: NDArray[np.int32]
    hop_length: int
    sample_rate: int


class Voice:
    """One loaded voice; use it from one thread at a time."""

    def __init__(
        self, acoustic: Sambert | None, vocoder: Vocoder | None, found: VoiceFolder, device: Device, crew: Crew
    ) -> None:
        self._acoustic = acoustic
        self._vocoder = vocoder
        self._found = found
        self._device = device
        self._crew = crew
        self._load_seconds = 0.0
        self._frames_per_symbol = USUAL_FRAMES_PER_SYMBOL
        self._front_end: Any = None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "cpu",
        name: str | None = None,
        precision: str = "float32",
        vocoder: str = "torch",
    ) -> Voice:
        """Load a voice: ``demo``, a voice folder (``am/``, ``voc/`` or one of them), a model root, or a hub name.

        ``name`` picks a voice of a model root with ``voices/`` (default: the first one). ``precision`` (float32,
        bfloat16, float16) is the vocoder's; the acoustic model stays in float32, for its durations must not move.
        ``vocoder`` is ``torch``, ``tensorrt`` (strict) or ``auto`` (TensorRT if it can be had, else PyTorch).

        Raises:
            ModelError: no such voice, or a missing, damaged or foreign file (named, with the key).
            DeviceError: the device, precision or engine cannot be had (says what to install).

        """
        began = time.monotonic()
        where = resolve_device(device)
        found = resolve_voice(folder, name)
        crew = Crew(torch.get_num_threads() if where.kind == "cpu" else 1)
        acoustic = None
        if found.am is not None:
            acoustic = load_acoustic(found.am).to(where.torch_name)
            if where.kind == "cuda":
                acoustic.buffer_source = GraphedSource()
                acoustic.together = PADDED
        vocoding = None
        if found.voc is not None:
            vocoding = load_vocoding(found.voc, where, precision, vocoder, crew)
        _check_pair(acoustic, vocoding, found.path)
        voice = cls(acoustic, vocoding, found, where, crew)
        voice._load_seconds = time.monotonic() - began
        return voice

    @property
    def name(self) -> str:
        """The voice's name: its folder's."""
        return self._found.name

    @property
    def sample_rate(self) -> int:
        """Samples per second of the audio."""
        if self._vocoder is not None:
            return self._vocoder.sample_rate
        return self._needed_acoustic().config.sample_rate or self._found.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per mel frame."""
        return self._needed_vocoder().hop_length

    @property
    def speakers(self) -> list[str]:
        """Speaker names that symbol lines may carry; the first one also answers to the fixed code F7."""
        return list(self._needed_acoustic().config.speakers)

    @property
    def emotions(self) -> list[str]:
        """Short emotion names: those listed for the voice in voices.json, else all that the symbols know."""
        return list(self._found.emotions) or emotion_names()

    def report(self) -> dict[str, Any]:
        """Return what runs here, for logs and ``/v1/workers``."""
        parts = [part for part in (self._acoustic, self._vocoder) if part is not None]
        return {
            "voice": self.name,
            "folder": str(self._found.path),
            "device": self._device.torch_name,
            "device_name": self._device.name,
            "precision": self._vocoder.precision if self._vocoder else "float32",
            "engine": self._vocoder.engine if self._vocoder else "none",
            "engine_note": self._vocoder.note if self._vocoder else "",
            "sample_rate": self.sample_rate,
            "load_seconds": round(self._load_seconds, 3),
            "parameters": sum(part.numbers() for part in parts),
        }

    def synthesize(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Speak plain texts; each text's sentences are joined without a gap, as their last break is a pause.

        Raises:
            TextError: a text holds nothing that can be spoken, or a symbol this voice does not know.

        """
        if self._front_end is None:
            from speech.text import FrontEnd

            self._front_end = FrontEnd()
        lines: list[Line] = []
        owners: list[int] = []
        for number, text in enumerate(texts):
            spoken = [one.symbols for one in self._front_end.plain(text) if one.symbols]
            if not spoken:
                raise TextError(f"text {number + 1} of {len(texts)} holds nothing that can be spoken: {text[:40]!r}")
            lines += [Line(symbols) for symbols in spoken]
            owners += [number] * len(spoken)
        parts: list[list[NDArray[np.float32]]] = [[] for _ in texts]
        for owner, utterance in zip(owners, self.render(lines), strict=True):
            parts[owner].append(utterance.audio)
        return [np.concatenate(one) for one in parts]

    def synthesize_symbols(self, lines: Sequence[Line | str]) -> list[NDArray[np.float32]]:
        """Speak symbol lines; return float32 [samples] in -1..1 for each."""
        return [utterance.audio for utterance in self.render(lines)]

    def render(self, lines: Sequence[Line | str]) -> list[Utterance]:
        """Speak one batch of lines of any lengths, each exactly as it would come out alone.

        Raises:
            TextError: a line cannot be read or uses symbols this voice does not have; ``detail`` names the line.

        """
        spoken = dict(self._each(lines, longest_first=True))
        return [spoken[n] for n in range(len(lines))]

    def render_each(self, lines: Sequence[Line | str]) -> Iterator[tuple[int, Utterance]]:
        """Speak one batch as `render` does; yield the number and the utterance of each line when it is done.

        On a CPU the vocoder, nine tenths of the work, makes rows one by one in the order given. Between two of them
        this voice may be used for something else.
        """
        return self._each(lines, longest_first=False)

    def _each(self, lines: Sequence[Line | str], *, longest_first: bool) -> Iterator[tuple[int, Utterance]]:
        acoustic, vocoder = self._needed_acoustic(), self._needed_vocoder()
        made = [line if isinstance(line, Line) else Line(line) for line in lines]
        spoken = self._speak(self._encode(made))
        frames = sum(len(one.mel) for one in spoken)
        symbols = sum(len(one.durations) for one in spoken)
        if symbols and frames:
            self._frames_per_symbol += 0.1 * (frames / symbols - self._frames_per_symbol)
        order = list(range(len(made)))
        if longest_first:
            order.sort(key=lambda n: -len(spoken[n].mel))
        mels = [acoustic.denormalise(spoken[n].mel) for n in order]
        for place, wave in vocoder.each(mels, [made[n].seed for n in order]):
            number = order[place]
            durations = spoken[number].durations.astype(np.int32)
            yield number, Utterance(wave, durations, vocoder.hop_length, vocoder.sample_rate)

    def acoustic(self, lines: Sequence[Line | str]) -> list[NDArray[np.float32]]:
        """Return normalised mels float32 [frames, mels] of each line, before f0 denormalisation."""
        made = [line if isinstance(line, Line) else Line(line) for line in lines]
        return [one.mel.cpu().numpy() for one in self._speak(self._encode(made))]

    def vocode(
        self, mels: Sequence[NDArray[np.float32]], *, seeds: Sequence[int] | None = None
    ) -> list[NDArray[np.float32]]:
        """Return audio float32 [samples] of mels [frames, mels]; NSF: the last two channels are f0 in Hz and voicing.

        Raises:
            ModelError: a mel of another width.

        """
        vocoder = self._needed_vocoder()
        tensors = [torch.as_tensor(np.ascontiguousarray(mel, dtype=np.float32)) for mel in mels]
        for number, tensor in enumerate(tensors):
            if tensor.dim() != 2 or tensor.shape[1] != vocoder.channels:
                raise ModelError(
                    f"mel {number} has the shape {list(tensor.shape)}, this vocoder wants [frames, {vocoder.channels}]",
                    code="bad_mel",
                )
        return vocoder(tensors, list(seeds) if seeds is not None else [0] * len(tensors))

    def frames(self, line: Line | str) -> int:
        """Estimate the mel frames of a line without running the model (for the scheduler's cost)."""
        symbols, speed = (line.symbols, line.speed) if isinstance(line, Line) else (line, 1.0)
        return max(1, round(symbols.count("{") * self._frames_per_symbol / speed))

    def trim(self) -> None:
        """Let go of device memory kept for later batches, on the thread that uses the voice; it is made anew."""
        if self._acoustic is not None:
            self._acoustic.buffer_source.trim()

    def _speak(self, lines: Sequence[AcousticInput]) -> list[Spoken]:
        acoustic, slots = self._needed_acoustic(), SLOTS[self._device.kind]
        parts = share_out([len(line.ids) for line in lines], min(self._crew.count, -(-len(lines) // ROWS_WORTH_A_CORE)))
        made = self._crew.map(lambda part: acoustic([lines[n] for n in part], slots), parts)
        spoken = {n: one for part, some in zip(parts, made, strict=True) for n, one in zip(part, some, strict=True)}
        return [spoken[n] for n in range(len(lines))]

    def _encode(self, lines: Sequence[Line]) -> list[AcousticInput]:
        table = self._needed_acoustic().symbols
        inputs = []
        for number, line in enumerate(lines):
            if not SPEEDS[0] <= line.speed <= SPEEDS[1]:
                raise TextError(
                    f"line {number}: speed {line.speed} is not in {SPEEDS[0]}..{SPEEDS[1]}", code="bad_speed"
                )
            try:
                inputs.append(AcousticInput(table.encode(line.symbols), line.speed))
            except TextError as error:
                raise TextError(f"line {number}: {error.detail}", code=error.code) from error
        return inputs

    def _needed_acoustic(self) -> Sambert:
        if self._acoustic is None:
            raise ModelError(f"{self._found.path} has no am/ folder: it can only vocode", code="no_acoustic_model")
        return self._acoustic

    def _needed_vocoder(self) -> Vocoder:
        if self._vocoder is None:
            raise ModelError(f"{self._found.path} has no voc/ folder: it makes mels, no audio", code="no_vocoder")
        return self._vocoder


def _check_pair(acoustic: Sambert | None, vocoder: Vocoder | None, folder: Path) -> None:
    if acoustic is None and vocoder is None:
        raise ModelError(f"{folder} has neither an am/ nor a voc/ folder", code="model_missing")
    if acoustic is not None and vocoder is not None and acoustic.config.mels != vocoder.channels:
        raise ModelError(
            f"{folder}: the acoustic model makes {acoustic.config.mels} channels (num_mels), the vocoder wants "
            f"{vocoder.channels}: they are not of one voice"
        )
