"""Speech recognition in three steps, for threads of different kinds, and in one for those who have no threads."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from speech.stt import models
from speech.stt.chunks import RATE, Chunk, ChunkResult, Piece
from speech.stt.decoder import Decoder
from speech.stt.features import FRAMES
from speech.stt.hub import CACHE
from speech.stt.options import DecodeOptions, OptionError
from speech.stt.prepare import Preparation
from speech.stt.transcript import Transcript, assemble

GOOD_ROWS = {"cpu": 8, "cuda": 16}
"""Chunks of a batch beyond which a device gains nothing, measured on a CPU and as published for GPUs. On a CPU a longer
batch only keeps others waiting: a row of a `small` model takes seconds. There four rows are enough for one thread; with
two, eight take 7 % less of processor time (bench/RESULTS.md)."""
UNLOAD_PATIENCE = 0.5
"""Seconds that CTranslate2 may take to let go of a model after its last batch."""
OPEN_FILES = 32
"""Files that :meth:`Recognizer.transcribe` has open at once."""


class Recognizer:
    """A Whisper model in memory.

    ``prepare`` and ``assemble`` belong in the thread of a job, ``decode`` in the one thread that owns the model;
    ``transcribe`` does all three for a list of files, whose chunks share batches.
    """

    def __init__(self, model: models.LoadedModel) -> None:
        self.model = model
        self.decoder = Decoder(model.whisper, model.tokenizer, model.extractor)
        self.warmup_seconds = 0.0

    @classmethod
    def load(
        cls,
        folder_or_name: str | Path,
        *,
        device: str = "cpu",
        compute_type: str = "default",
        threads: int = 0,
        cache: Path = CACHE,
        download: bool = True,
    ) -> Recognizer:
        """Load a model: ``demo``, a CTranslate2 folder, or a hub name (kept in ``cache``, pulled if ``download``).

        ``compute_type``: as CTranslate2 names them; ``default`` is int8 on a CPU and float16 on a GPU. ``threads`` 0
        leaves the number to CTranslate2.

        Raises:
            ModelError: the model is missing, incomplete or damaged; the detail names the file.
            DeviceError: the device or the compute type cannot be had.

        """
        model = models.load(
            folder_or_name,
            device=device,
            compute_type=compute_type,
            threads=threads,
            cache=cache,
            download=download,
        )
        return cls(model)

    @property
    def good_rows(self) -> int:
        """How many chunks a batch should have at most on this device."""
        return GOOD_ROWS[self.model.device.kind]

    @property
    def loaded(self) -> bool:
        """Whether the weights are in memory."""
        return bool(self.model.whisper.model_is_loaded)

    def unload(self) -> bool:
        """Free the weights; ``prepare``, ``bucket`` and ``assemble`` go on working. False if a batch is running."""
        end = time.monotonic() + UNLOAD_PATIENCE
        while self.loaded:
            self.model.whisper.unload_model()  # does nothing, silently, while CTranslate2 tidies up after a batch
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def reload(self) -> None:
        """Bring the weights back after :meth:`unload`."""
        self.model.whisper.load_model()

    def prepare(
        self,
        path: str | Path,
        options: DecodeOptions | None = None,
        *,
        max_seconds: float | None = None,
        model: str = "",
    ) -> Preparation:
        """Look at a file that is to be heard; see :class:`Preparation`. Runs in a task thread.

        Raises:
            AudioError: the file is no media or has no audio; while iterating also: it is longer than ``max_seconds``.
            OptionError: the model does not know the language.

        """
        wanted = options or DecodeOptions()
        if wanted.language is not None and not self.decoder.prompts.knows(wanted.language):
            raise OptionError(f"language {wanted.language!r} is not one that the model {self.model.name} knows")
        return Preparation(path, wanted, self.model.extractor, max_seconds=max_seconds, model=model)

    def decode(self, chunks: Sequence[Chunk]) -> list[ChunkResult]:
        """Return one result for each chunk, in order, each as if it were alone. Runs in the engine thread."""
        return self.decoder.decode(chunks)

    def assemble(self, preparation: Preparation, results: Sequence[ChunkResult]) -> Transcript:
        """Return the transcript of a file from the results of all its chunks, in any order."""
        return assemble(preparation, results)

    def bucket(self, chunk: Chunk) -> Hashable:
        """Return what chunks must have in common to share one run of the model."""
        return self.decoder.bucket(chunk)

    def cost(self, chunk: Chunk) -> int:  # noqa: ARG002 - every chunk costs the same: Whisper's window is fixed
        """Return the frames that a chunk takes in a batch, silence that fills it up included."""
        return FRAMES

    def transcribe(
        self,
        paths: Sequence[str | Path],
        *,
        language: str | None = None,
        batch_rows: int | None = None,
        **options: Any,
    ) -> list[Transcript]:
        """Return the transcripts of files, in order. ``options``: fields of :class:`DecodeOptions`.

        ``batch_rows`` chunks go to the model at once (None: ``good_rows``); it changes speed only, never words.

        Raises:
            AudioError: a file cannot be read (the first such file ends the call).

        """
        wanted = DecodeOptions(language=language, **options)
        groups = (paths[first : first + OPEN_FILES] for first in range(0, len(paths), OPEN_FILES))
        return [
            transcript for group in groups for transcript in self._together(group, wanted, batch_rows or self.good_rows)
        ]

    def _together(self, paths: Sequence[str | Path], options: DecodeOptions, batch_rows: int) -> list[Transcript]:
        files = [_Hearing(self.prepare(path, options)) for path in paths]
        self._hear([(file, file.preparation.opening(file.heard)) for file in files], batch_rows)
        for file in files:
            file.preparation.settle(file.heard.values())
        self._hear([(file, file.preparation.chunks(file.heard)) for file in files], batch_rows)
        return [self.assemble(file.preparation, list(file.heard.values())) for file in files]

    def warm_up(self) -> float:
        """Run a batch of one silent window, so that the first job does not pay for it; return the seconds it took."""
        began = time.monotonic()
        audio = np.zeros(RATE, np.float32)
        options = DecodeOptions(language="en", temperature=(0.0,))
        self.decode([Chunk(index=0, channel=0, pieces=(Piece(0, RATE),), audio=audio, options=options)])
        self.warmup_seconds = time.monotonic() - began
        return self.warmup_seconds

    def report(self) -> dict[str, object]:
        """Return what runs here and on what, for logs and for the list of workers."""
        model = self.model
        return {
            "model": model.name,
            "device": model.device.kind,
            "device_name": model.device.name,
            "precision": model.compute_type,
            "engine": "ctranslate2",
            "multilingual": self.decoder.multilingual,
            "load_seconds": model.load_seconds,
            "warmup_seconds": self.warmup_seconds,
            "weight_bytes": model.weight_bytes,
            "windows_again": self.decoder.windows_again,
        }

    def _hear(self, work: list[_Work], batch_rows: int) -> None:
        for batch in _batches(work, batch_rows):
            for (file, chunk), result in zip(batch, self.decode([chunk for _, chunk in batch]), strict=True):
                file.heard[chunk.unit] = result


@dataclass
class _Hearing:
    """A file in :meth:`Recognizer.transcribe`."""

    preparation: Preparation
    heard: dict[str, ChunkResult] = field(default_factory=dict)


_Work = tuple[_Hearing, Iterator[Chunk]]


def _batches(work: list[_Work], rows: int) -> Iterator[list[tuple[_Hearing, Chunk]]]:
    """Yield batches of the chunks of files: file by file, or, where a chunk wants to know the last, one of each."""
    waiting = deque(work)
    while waiting:
        batch: list[tuple[_Hearing, Chunk]] = []
        for _ in range(len(waiting)):
            file, chunks = waiting.popleft()
            alone = file.preparation.options.condition_on_previous_text
            wanted = 1 if alone else rows - len(batch)
            taken = list(islice(chunks, wanted))
            batch.extend((file, chunk) for chunk in taken)
            if len(taken) == wanted:  # there may be more
                (waiting.append if alone else waiting.appendleft)((file, chunks))
            if len(batch) == rows:
                break
        if batch:
            yield batch
