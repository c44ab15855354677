"""Turns: the chapters of a book speak in their order, no more of them at once than keep the batches full.

If all went on together, all would end together: then every chapter is encoded while the engine has nothing to do, and
nobody can listen to the first one before the last is spoken.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from workers.session import Session

PATIENCE_SECONDS = 1.0
"""How often a waiting session looks at its deadline; wishes wake it at once."""


@dataclass(eq=False)
class _Place:
    """A session's place among the chapters of its book; an earlier claim of the same chapter has another one."""

    book: str
    index: int
    sentences: int = 0


class Turns:
    """Lets chapters of this process in. Thread-safe.

    ``enough`` is how many sentences a book may have in the scheduler at once, ``writers`` how many chapters may be
    written at once, of all books. Who waits to speak has done nothing yet that a next attempt would have to do again.
    """

    def __init__(self, *, enough: int, writers: int) -> None:
        self._enough = enough
        self._writers = writers
        self._changed = threading.Condition()
        self._waiting: set[_Place] = set()
        self._speaking: set[_Place] = set()
        self._writing: set[_Place] = set()

    @contextlib.contextmanager
    def to_speak(self, session: Session) -> Iterator[Callable[[int], None]]:
        """Wait until the earlier chapters of the book leave room, and hold the turn. Raises what a check raises.

        Gives a function that takes the number of the chapter's sentences in the scheduler at once; until it is called
        the chapter takes all the room there is.
        """
        me = _Place(session.job.parent or "", session.job.index, self._enough)

        def tell(sentences: int) -> None:
            with self._changed:
                me.sentences = sentences
                self._changed.notify_all()

        try:
            with self._changed:
                self._waiting.add(me)
            self._wait(session, lambda: self._may_speak(me), self._speaking, me, yields=True)
            yield tell
        finally:
            self._leave(me)

    @contextlib.contextmanager
    def to_write(self, session: Session) -> Iterator[None]:
        """Wait until few others write, so that a writer soon ends. Raises what `Session.insist` raises."""
        me = _Place(session.job.parent or "", session.job.index)
        try:
            self._wait(session, lambda: len(self._writing) < self._writers, self._writing, me, yields=False)
            yield
        finally:
            self._leave(me)

    def _may_speak(self, me: _Place) -> bool:
        if any(other.index < me.index for other in self._waiting if other.book == me.book):
            return False
        return sum(other.sentences for other in self._speaking if other.book == me.book) < self._enough

    def _wait(
        self, session: Session, may: Callable[[], bool], places: set[_Place], me: _Place, *, yields: bool
    ) -> None:
        """Wait until it `may` be, and take a place; who `yields` is the first to be asked to make room meanwhile."""
        check = session.check if yields else session.insist
        check()
        if self._enter(may, places, me):
            return
        session.on_wish = self._wake
        session.idle = yields
        try:
            with session.awaiting_turn(), self._changed:
                while not self._enter(may, places, me):
                    check()
                    self._changed.wait(PATIENCE_SECONDS)
        finally:
            session.idle = False
            session.on_wish = lambda: None

    def _enter(self, may: Callable[[], bool], places: set[_Place], me: _Place) -> bool:
        with self._changed:
            if not may():
                return False
            self._waiting.discard(me)
            places.add(me)
            self._changed.notify_all()
            return True

    def _leave(self, me: _Place) -> None:
        with self._changed:
            for places in (self._waiting, self._speaking, self._writing):
                places.discard(me)
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
