"""Turns: the chapters of a book speak in their order, no more of them at once than keep the batches full.

If all went on together, all would end together: then every chapter is encoded while the engine has nothing to do, and
nobody can listen to the first one before the last is spoken.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from workers.session import Session

PATIENCE_SECONDS = 1.0
"""How often a waiting session looks at its deadline; wishes wake it at once."""


class Turns:
    """Lets chapters of this process in. Thread-safe.

    ``enough`` is how many sentences a book may have in the scheduler at once, ``writers`` how many chapters may be
    written at once, of all books.
    """

    def __init__(self, *, enough: int, writers: int) -> None:
        self._enough = enough
        self._writers = writers
        self._changed = threading.Condition()
        self._waiting: set[tuple[str, int]] = set()
        self._speaking: dict[tuple[str, int], int] = {}
        self._writing = 0

    @contextlib.contextmanager
    def to_speak(self, session: Session, sentences: int) -> Iterator[None]:
        """Wait until the earlier chapters of the book leave room, and hold the turn. Raises what a check raises."""
        me = (session.job.parent or "", session.job.index)
        with self._changed:
            self._waiting.add(me)
            try:
                self._wait(session, lambda: self._may_speak(me))
                self._speaking[me] = sentences
            finally:
                self._waiting.discard(me)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._speaking[me]
                self._changed.notify_all()

    @contextlib.contextmanager
    def to_write(self, session: Session) -> Iterator[None]:
        """Wait until few others write, so that a writer soon ends. Raises what a check raises while it waits."""
        with self._changed:
            self._wait(session, lambda: self._writing < self._writers)
            self._writing += 1
        try:
            yield
        finally:
            with self._changed:
                self._writing -= 1
                self._changed.notify_all()

    def _may_speak(self, me: tuple[str, int]) -> bool:
        book, index = me
        if any(other < index for parent, other in self._waiting if parent == book):
            return False
        return sum(count for (parent, _), count in self._speaking.items() if parent == book) < self._enough

    def _wait(self, session: Session, may: Callable[[], bool]) -> None:
        session.on_wish = self._wake
        session.idle = True
        try:
            session.check()
            while not may():
                self._changed.wait(PATIENCE_SECONDS)
                session.check()
        finally:
            session.idle = False
            session.on_wish = lambda: None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
