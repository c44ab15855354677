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
    written at once, of all books. Who waits has done nothing yet that a next attempt would have to do again.
    """

    def __init__(self, *, enough: int, writers: int) -> None:
        self._enough = enough
        self._writers = writers
        self._changed = threading.Condition()
        self._waiting: set[tuple[str, int]] = set()
        self._speaking: dict[tuple[str, int], int] = {}
        self._writing: set[object] = set()

    @contextlib.contextmanager
    def to_speak(self, session: Session) -> Iterator[Callable[[int], None]]:
        """Wait until the earlier chapters of the book leave room, and hold the turn. Raises what a check raises.

        Gives a function that takes the number of the chapter's sentences in the scheduler at once; until it is called
        the chapter takes all the room there is.
        """
        me = (session.job.parent or "", session.job.index)

        def take(sentences: int = self._enough) -> None:
            self._speaking[me] = sentences

        def tell(sentences: int) -> None:
            with self._changed:
                take(sentences)
                self._changed.notify_all()

        try:
            with self._among_the_waiting(me):
                self._wait(session, lambda: self._may_speak(me), take)
            yield tell
        finally:
            with self._changed:
                self._speaking.pop(me, None)
                self._changed.notify_all()

    @contextlib.contextmanager
    def to_write(self, session: Session) -> Iterator[None]:
        """Wait until few others write, so that a writer soon ends. Raises what a check raises while it waits."""
        me = object()
        try:
            self._wait(session, lambda: len(self._writing) < self._writers, lambda: self._writing.add(me))
            yield
        finally:
            with self._changed:
                self._writing.discard(me)
                self._changed.notify_all()

    @contextlib.contextmanager
    def _among_the_waiting(self, me: tuple[str, int]) -> Iterator[None]:
        with self._changed:
            self._waiting.add(me)
        try:
            yield
        finally:
            with self._changed:
                self._waiting.discard(me)
                self._changed.notify_all()

    def _may_speak(self, me: tuple[str, int]) -> bool:
        book, index = me
        if any(other < index for parent, other in self._waiting if parent == book):
            return False
        return sum(count for (parent, _), count in self._speaking.items() if parent == book) < self._enough

    def _wait(self, session: Session, may: Callable[[], bool], take: Callable[[], None]) -> None:
        """Take a turn, at once if it `may` be."""
        session.check()
        with self._changed:
            if may():
                take()
                return
        session.on_wish = self._wake
        try:
            with session.resting(), self._changed:
                while True:
                    session.check()
                    if may():
                        take()
                        return
                    self._changed.wait(PATIENCE_SECONDS)
        finally:
            session.on_wish = lambda: None

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
