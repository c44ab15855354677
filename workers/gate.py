"""A door into the process: normal jobs go in together, a job that must run alone goes in by itself.

Whoever waits to be alone goes first: no new job is let in beside him, so he waits only for those inside.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

_LOOK_SECONDS = 1.0  # how often one who waits looks at his deadline; wishes wake him at once


class Waiter(Protocol):
    """Who waits at the gate (a session)."""

    on_wish: Callable[[], None]
    """Called by another thread when the waiter should look up from waiting."""

    def check(self) -> None:
        """Return to go on waiting; whatever is raised ends the wait."""


class Gate:
    """Thread-safe; one per process. Not reentrant: a thread that is inside must not wait at the gate again."""

    class Pass:
        """The right to be inside, until the end of its ``with`` block or until ``leave`` is called."""

        def __init__(self, leave: Callable[[], None]) -> None:
            self._leave: Callable[[], None] | None = leave

        def leave(self) -> None:
            """Go out; a second time does nothing."""
            if self._leave is not None:
                self._leave()
                self._leave = None

        def __enter__(self) -> "Gate.Pass":
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            self.leave()

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = False
        self._want_alone = 0

    def shared(self, waiter: Waiter) -> "Gate.Pass":
        """Go in together with others, once nobody is or wants to be alone. Raises what ``waiter.check`` raises."""
        with self._changed:
            self._await(waiter, lambda: not (self._alone or self._want_alone))
            self._together += 1
        return Gate.Pass(self._leave_together)

    def alone(self, waiter: Waiter) -> "Gate.Pass":
        """Go in when everybody has left, and keep them out. Raises what ``waiter.check`` raises."""
        with self._changed:
            self._want_alone += 1
            try:
                self._await(waiter, lambda: not (self._alone or self._together))
                self._alone = True
            finally:
                self._want_alone -= 1
                self._changed.notify_all()
        return Gate.Pass(self._leave_alone)

    def _await(self, waiter: Waiter, is_free: Callable[[], bool]) -> None:
        """Wait (the lock held) until the way is free; a waiter that is told to stop does not go in."""
        before, waiter.on_wish = waiter.on_wish, self._wake
        try:
            waiter.check()
            while not is_free():
                self._changed.wait(_LOOK_SECONDS)
                waiter.check()
        finally:
            waiter.on_wish = before

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _leave_together(self) -> None:
        with self._changed:
            self._together -= 1
            self._changed.notify_all()

    def _leave_alone(self) -> None:
        with self._changed:
            self._alone = False
            self._changed.notify_all()
