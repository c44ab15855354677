"""Several models in one process: the least recently used leave memory when it is full, idle ones after a time."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speech.errors import ModelError
from speech.stt.chunks import Chunk, ChunkResult
from speech.stt.features import FRAMES
from speech.stt.hub import repository, resolve_alias
from speech.stt.options import DecodeOptions
from speech.stt.prepare import Preparation
from speech.stt.recognizer import Recognizer
from speech.stt.transcript import Transcript, assemble


@dataclass
class _Entry:
    recognizer: Recognizer
    users: int = 0
    used_at: float = 0.0


class ModelPool:
    """Recognisers by name. Thread-safe; one model loads at a time.

    A recogniser's light part (tokenizer, features) stays, so that task threads can prepare files with it at any time;
    its weights are in memory only around :meth:`use`. ``max_bytes`` bounds the weights of all models (by the size of
    their files; 0: no bound): a model that is in use never leaves, so one batch may exceed it. Too low: models are
    loaded again and again. ``idle_seconds`` 0: never unload for idleness. ``offered`` returns the names that may be
    asked for (None: any), so that a client cannot have a folder of its choice loaded.

    A pool stands where one recogniser could: ``prepare``, ``bucket``, ``cost``, ``decode`` and ``assemble`` are the
    same, and chunks of different models never share a batch.
    """

    def __init__(
        self,
        load: Callable[[str], Recognizer],
        *,
        default: str,
        max_bytes: int = 0,
        idle_seconds: float = 0.0,
        offered: Callable[[], Collection[str]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.default = default
        self._offered = offered
        self._load = load
        self._max_bytes = max_bytes
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.RLock()
        self._loading = threading.RLock()

    def recognizer(self, name: str | None = None) -> Recognizer:
        """Return a model's recogniser, loading the model if it was never loaded; None: the configured one.

        Raises:
            ModelError: there is no such model, or it is not offered.
            DeviceError: it cannot run as configured.

        """
        wanted = self._allowed(name)
        with self._lock:
            entry = self._entries.get(wanted)
        if entry is not None:
            return entry.recognizer
        with self._loading:
            with self._lock:
                entry = self._entries.get(wanted)
            if entry is None:
                entry = _Entry(self._load(wanted), used_at=self._clock())
                with self._lock:
                    self._entries[wanted] = entry
                self._make_room(wanted)
            return entry.recognizer

    def prepare(
        self,
        path: str | Path,
        options: DecodeOptions | None = None,
        *,
        model: str | None = None,
        max_seconds: float | None = None,
    ) -> Preparation:
        """Look at a file that is to be heard by a model; see :class:`Preparation`. Runs in a task thread.

        Raises:
            ModelError: the model is not offered.
            AudioError: the file is no media or has no audio.
            OptionError: the model does not know the language.

        """
        name = self._allowed(model)
        return self.recognizer(name).prepare(path, options, max_seconds=max_seconds, model=name)

    def bucket(self, chunk: Chunk) -> Hashable:
        """Return what chunks must have in common to share one run: the model, and what it asks for."""
        return (chunk.model or self.default, self.recognizer(chunk.model).bucket(chunk))

    def cost(self, chunk: Chunk) -> int:  # noqa: ARG002 - the same for every chunk and model
        """Return the frames that a chunk takes in a batch."""
        return FRAMES

    def decode(self, chunks: Sequence[Chunk]) -> list[ChunkResult]:
        """Return one result for each chunk, in order. Runs in the engine thread; loads what is not in memory."""
        results: dict[int, ChunkResult] = {}
        groups: dict[str, list[int]] = defaultdict(list)
        for place, chunk in enumerate(chunks):
            groups[chunk.model].append(place)
        for name, places in groups.items():
            with self.use(name) as recognizer:
                results.update(zip(places, recognizer.decode([chunks[place] for place in places]), strict=True))
        return [results[place] for place in range(len(chunks))]

    def assemble(self, preparation: Preparation, results: Sequence[ChunkResult]) -> Transcript:
        """Return the transcript of a file from the results of all its chunks, in any order."""
        return assemble(preparation, results)

    def reports(self) -> dict[str, dict[str, object]]:
        """Return what each model that was ever used runs on, and whether it is in memory."""
        with self._lock:
            entries = dict(self._entries)
        return {name: {**each.recognizer.report(), "loaded": each.recognizer.loaded} for name, each in entries.items()}

    @contextmanager
    def use(self, name: str | None = None) -> Iterator[Recognizer]:
        """Keep a model's weights in memory for the length of a `with` block: for the engine thread's `decode`."""
        recognizer = self.recognizer(name)
        wanted = self._allowed(name)
        entry = self._entries[wanted]
        with self._lock:
            entry.users += 1
        try:
            with self._loading:
                if not recognizer.loaded:
                    self._make_room(wanted)
                    recognizer.reload()
            yield recognizer
        finally:
            with self._lock:
                entry.users -= 1
                entry.used_at = self._clock()

    def unload_idle(self) -> list[str]:
        """Unload the models that nobody has used for ``idle_seconds``; return their names."""
        if not self._idle_seconds:
            return []
        now = self._clock()
        return [name for name in self._leaving() if self._idle_for(name, now) and self._unload(name)]

    def unload_all(self) -> list[str]:
        """Unload every model that is not in use; return their names."""
        return [name for name in self._leaving() if self._unload(name)]

    def loaded(self) -> dict[str, int]:
        """Return the models in memory and the bytes of their weights."""
        with self._lock:
            return {
                name: entry.recognizer.model.weight_bytes
                for name, entry in self._entries.items()
                if entry.recognizer.loaded
            }

    def _allowed(self, name: str | None) -> str:
        wanted = resolve_alias(name, self.default)
        offered = None if self._offered is None else self._offered()
        if offered is None or wanted == self.default or wanted in offered:
            return wanted
        if (known := repository(wanted)) in offered and known is not None:
            return known
        raise ModelError(
            f"model {wanted!r} is not offered here: use one of {', '.join(sorted({self.default, *offered}))}",
            code="model_missing",
        )

    def _make_room(self, wanted: str) -> None:
        """Unload the least recently used models until the wanted one fits beside the others."""
        if not self._max_bytes:
            return
        needed = self._entries[wanted].recognizer.model.weight_bytes
        for name in self._leaving():
            held = sum(size for other, size in self.loaded().items() if other != wanted)
            if held + needed <= self._max_bytes:
                return
            if name != wanted:
                self._unload(name)

    def _leaving(self) -> list[str]:
        """Return the models that are loaded and not in use, least recently used first."""
        with self._lock:
            free = [
                (entry.used_at, name)
                for name, entry in self._entries.items()
                if not entry.users and entry.recognizer.loaded
            ]
        return [name for _, name in sorted(free)]

    def _idle_for(self, name: str, now: float) -> bool:
        with self._lock:
            return now - self._entries[name].used_at >= self._idle_seconds

    def _unload(self, name: str) -> bool:
        with self._loading, self._lock:
            entry = self._entries[name]
            return not entry.users and entry.recognizer.unload()
