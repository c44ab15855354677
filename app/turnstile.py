"""A gate that lets so many through at once, strictly in the order of their coming."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType
from typing import Self


class TooBusy(Exception):
    """The turn did not come in time."""


class Turnstile:
    """A semaphore without overtaking.

    Python's own lets whoever comes at the right moment pass before those who wait, and Celery's pool of connections
    is guarded by such a one: in a burst of submits, some would wait a hundred times as long as others.
    """

    def __init__(self, places: int, *, patience: float) -> None:
        self._free = places
        self._patience = patience
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Wait for a place. Raises `TooBusy`."""
        with self._lock:
            if self._free:
                self._free -= 1
                return self
            turn = threading.Event()
            self._waiting.append(turn)
        if not turn.wait(self._patience):
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise TooBusy
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the place to who has waited longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
