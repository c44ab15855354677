"""The recognisers as an engine of the batch scheduler: models in memory while they are used, loaded on its thread."""

from __future__ import annotations

import functools
import logging
from collections.abc import Hashable, Sequence
from typing import Any

from jobs.settings import Settings
from speech.errors import ModelError
from speech.stt import Chunk, ChunkResult, Recognizer
from speech.stt.hub import find_folder, offered, repository, resolve_alias
from speech.stt.pool import ModelPool
from speech.stt.recognizer import GOOD_ROWS
from workers.memory import cuda_memory_bytes, empty_cuda_cache, trim_heap
from workers.reuse import checkpoint

log = logging.getLogger(__name__)

LINGER_TIMES = 50
LINGER_SHARE = 1 / 32
"""The chunks of a recording come a moment after each other, and runs take long: it pays to wait longer than usual, so
that the first chunk does not run alone (on a CPU 1.6 times as dear as in a batch of eight). 0.75 s where a run takes
half a minute, a few milliseconds where it takes a fifth of a second."""


class RecognizerEngine:
    """Decodes chunks of any files; those of a batch have one model."""

    def __init__(self, settings: Settings, threads: int) -> None:
        self._threads = threads
        self._settings = settings
        cache = settings.model_cache.expanduser()
        self.pool = ModelPool(
            functools.partial(_load, settings=settings, threads=threads),
            default=settings.stt_model,
            max_bytes=_weights_limit(settings),
            idle_seconds=settings.idle_unload_seconds,
            offered=lambda: offered(settings.stt_model, cache),
        )
        """What task threads prepare and assemble with; it needs no model in memory."""
        self._warmup_seconds = 0.0

    def good_rows(self) -> int:
        """Return the rows beyond which a batch only takes longer: on a CPU few, measured in bench/RESULTS.md."""
        wanted = self._settings.stt_batch_rows
        if self._settings.device != "cpu":
            return wanted
        return min(wanted, GOOD_ROWS["cpu"] if self._threads > 1 else GOOD_ROWS["cpu"] // 2)

    def load(self) -> None:
        """Load the configured model and run one window of silence. Raises `ModelError` or `DeviceError`."""
        with self.pool.use() as recognizer:
            if not self._warmup_seconds:
                self._warmup_seconds = recognizer.warm_up()

    def unload(self) -> None:
        """Free the memory; the next batch loads again."""
        self.pool.unload_all()
        empty_cuda_cache()
        trim_heap()

    def trim(self) -> None:
        """Let models go that nobody uses, after running out of memory."""
        self.unload()

    def cost(self, payload: Chunk) -> int:
        """Return the frames of a row: the same for all, for Whisper's window is fixed."""
        return self.pool.cost(payload)

    def bucket(self, payload: Chunk) -> Hashable:
        """Return what chunks must share to be decoded together."""
        return self.pool.bucket(payload)

    def run(self, payloads: Sequence[Chunk]) -> Sequence[ChunkResult]:
        """Decode a batch. Models that were not used for long leave memory; all do where nothing is done at all."""
        results = self.pool.decode(payloads)
        self.pool.unload_idle()
        return results

    def warm_up_tasks(self) -> None:
        """Nothing: the voice activity detector loads in the blink of an eye."""

    def identity(self, model: str | None) -> dict[str, Any]:
        """Return what decides, beside the recording and the options, what is heard. Raises `ModelError`."""
        default, cache = self._settings.stt_model, self._settings.model_cache.expanduser()
        wanted = resolve_alias(model, default)
        if not {wanted, repository(wanted)} & {default, *offered(default, cache)}:
            raise ModelError(f"model {wanted!r} is not offered here", code="model_missing")
        folder = find_folder(wanted, cache=cache, download=False)
        return {"model": checkpoint(folder), "compute_type": self._settings.stt_compute_type}

    def offers(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return what to add to the catalogue of models."""
        default = self._settings.stt_model
        names = offered(default, self._settings.model_cache.expanduser())
        facts = self.pool.reports()
        return "models", {name: {**facts.get(name, {}), "name": name, "default": name == default} for name in names}

    def report(self) -> dict[str, Any]:
        """Return device, precision, engine and times for `/v1/workers`."""
        default = self._settings.stt_model
        return {**self.pool.reports().get(default, {}), "model": default, "models": sorted(self.pool.loaded())}


def weights_limit(wanted: int, share: float, device_bytes: int) -> int:
    """Return how many bytes of weights a process may hold: what is wanted, and no more than its share. 0: no limit.

    CTranslate2 takes the memory of a batch as it needs it; there is no limit to set for that.
    """
    limits = [wanted, int(share * device_bytes) if share < 1 else 0]
    return min((limit for limit in limits if limit), default=0)


def _weights_limit(settings: Settings) -> int:
    shared = settings.device == "cuda" and settings.gpu_memory_share < 1
    device_bytes = cuda_memory_bytes() if shared else 0
    return weights_limit(settings.stt_memory_bytes, settings.gpu_memory_share, device_bytes)


def _load(name: str, *, settings: Settings, threads: int) -> Recognizer:
    recognizer = Recognizer.load(
        name,
        device=settings.device,
        compute_type=settings.stt_compute_type,
        threads=threads,
        cache=settings.model_cache.expanduser(),
    )
    log.info("recogniser: %s", recognizer.report())
    return recognizer
