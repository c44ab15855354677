"""A loaded vocoder: mels of any lengths in, audio out, by whichever runner suits the device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speech.device import Device, cpu_has_bfloat16
from speech.errors import DeviceError, SpeechError
from speech.faults import is_fatal, is_out_of_memory
from speech.tts import tensorrt
from speech.tts.checkpoint import NetworkFiles
from speech.tts.crew import Crew
from speech.tts.source import HarmonicSource
from speech.tts.stagewise import each_row
from speech.tts.vocoder import Generator, load_vocoder
from speech.tts.windows import WindowRunner, Windows

log = logging.getLogger(__name__)

ENGINES = ("torch", "tensorrt", "auto")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Static shape on a GPU: a context of 18 + 18 frames costs 8 percent of 464 frames; 16 rows fill a large GPU.
WINDOW_FRAMES = 464
WINDOW_ROWS = 16


class Vocoder:
    """A generator, its source, and the way they are run.

    ``engine`` says which: ``torch`` or ``tensorrt``; ``note`` why it is not the one that would be faster.
    """

    def __init__(
        self,
        generator: Generator,
        source: HarmonicSource | None,
        device: Device,
        precision: str,
        crew: Crew,
        runner: WindowRunner | None = None,
    ) -> None:
        # An engine has its own precision inside; what goes in and out of it is float32.
        self.dtype = torch.float32 if runner else _dtype(precision, device)
        self.precision = precision
        self.generator = generator.to(device.torch_name).to(self.dtype)
        self.source = None if source is None else source.to(device.torch_name)
        self.device = device
        self.crew = crew
        self.engine = "tensorrt" if runner else "torch"
        self.note = ""
        self.hop_length = generator.hop_length
        self.sample_rate = generator.config.sample_rate
        self.channels = generator.mels + (2 if source else 0)
        wide = runner is not None or device.kind == "cuda"
        fixed = runner is not None
        self.windows = Windows(generator, WINDOW_FRAMES, WINDOW_ROWS, fixed=fixed) if wide else None
        self.runner: WindowRunner = runner or generator

    def numbers(self) -> int:
        """Return how many parameters the generator has."""
        return sum(one.numel() for one in self.generator.parameters())

    def __call__(self, mels: Sequence[Tensor], seeds: Sequence[int]) -> list[NDArray[np.float32]]:
        """Return audio float32 [samples] in -1..1 of mels [frames, channels]; no frames give no samples."""
        waves = dict(self.each(mels, seeds))
        return [waves[number] for number in range(len(mels))]

    @torch.inference_mode()
    def each(self, mels: Sequence[Tensor], seeds: Sequence[int]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield the number and the audio of each mel: on a CPU one by one, on a GPU when all are done."""
        placed = [mel.to(self.device.torch_name) for mel in mels]
        speaking = [number for number, mel in enumerate(placed) if len(mel)]
        for number in sorted(set(range(len(mels))).difference(speaking)):
            yield number, np.zeros(0, dtype=np.float32)
        if not speaking:
            return
        inputs = [placed[number][:, : self.generator.mels].t().to(self.dtype) for number in speaking]

        def excite(row: int) -> Tensor | None:
            return None if self.source is None else self._excitation(placed[speaking[row]], seeds[speaking[row]])

        for row, wave in self._rows(inputs, excite):
            yield speaking[row], wave.to(torch.float32).cpu().numpy()

    def _excitation(self, mel: Tensor, seed: int) -> Tensor:
        assert self.source is not None
        made: Tensor = self.source(mel[:, -2], mel[:, -1], *self.source.draw(len(mel), seed))
        return made.to(self.dtype)

    def _rows(self, mels: list[Tensor], excite: Callable[[int], Tensor | None]) -> Iterator[tuple[int, Tensor]]:
        if self.windows is None:
            return each_row(self.generator, mels, excite, self.crew)
        excitations = [made for row in range(len(mels)) if (made := excite(row)) is not None]
        return iter(enumerate(self.windows.run(self.runner, mels, excitations or None)))


def load_vocoding(files: NetworkFiles, device: Device, precision: str, engine: str, crew: Crew) -> Vocoder:
    """Load a vocoder and choose how it runs.

    ``engine``: ``torch``; ``tensorrt`` (strict); ``auto``, which takes TensorRT on a GPU if it can be had and says in
    the log and in the report why not.

    Raises:
        ModelError: a missing, damaged or foreign file (named, with the key).
        DeviceError: the precision or, strictly, the engine cannot be had.

    """
    if engine not in ENGINES:
        raise DeviceError(f"vocoder {engine!r} is not known: use {', '.join(ENGINES)}", code="bad_vocoder")
    _dtype(precision, device)
    generator, source = load_vocoder(files)
    runner, note = None, ""
    if engine == "tensorrt" or (engine == "auto" and device.kind == "cuda" and precision in tensorrt.PRECISIONS):
        generator.to(device.torch_name)
        runner, note = _tensorrt(generator, files, device, precision, strict=engine == "tensorrt")
    if device.kind == "cpu" and precision == "bfloat16" and not cpu_has_bfloat16():
        note = f"{device.name} has no bfloat16 instructions: float32 would be faster"
        log.warning("%s", note)
    vocoder = Vocoder(generator, source, device, precision, crew, runner)
    vocoder.note = note
    return vocoder


def _tensorrt(
    generator: Generator, files: NetworkFiles, device: Device, precision: str, *, strict: bool
) -> tuple[WindowRunner | None, str]:
    try:
        return tensorrt.tensorrt_runner(generator, files, device, precision, WINDOW_FRAMES, WINDOW_ROWS), ""
    except Exception as error:
        # After another CUDA error than a lack of memory PyTorch would fail too: this process cannot go on.
        if strict or (is_fatal(error) and not is_out_of_memory(error)):
            raise
        foreseen = isinstance(error, SpeechError)
        # Libraries' messages may have many lines: the report takes the first one, the log all.
        reason = str(error) if foreseen else f"{type(error).__name__}: {error}".partition("\n")[0]
        log.warning("TensorRT is not used for %s, PyTorch is: %s", files.config.parent, reason, exc_info=not foreseen)
        return None, reason


def _dtype(precision: str, device: Device) -> torch.dtype:
    if precision not in PRECISIONS:
        raise DeviceError(f"precision {precision!r} is not known: use {', '.join(PRECISIONS)}", code="bad_precision")
    if precision == "float16" and device.kind == "cpu":
        raise DeviceError(
            "precision float16 needs a GPU: on a CPU use float32, or bfloat16 where the CPU has it",
            code="bad_precision",
        )
    return PRECISIONS[precision]
