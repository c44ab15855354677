"""Ends a process that lives but does not work, so that its supervisor starts another and its jobs are taken up again.

A hung thread cannot be stopped from within Python, and neither locks nor clean-up can be trusted then: the process
ends by ``os._exit`` after writing the reason and the stacks of all threads to its log. Leases do the rest.
"""

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn, Protocol

from workers.stats import Pulse

logger = logging.getLogger(__name__)

EXIT_CODE = 70
"""Exit status of a process that its watchdog ended (EX_SOFTWARE)."""


class Check(Protocol):
    """Looks at one thing that may be stuck."""

    def look(self, seconds: float) -> str | None:
        """Return the reason to end the process, or None. ``seconds`` have passed since the last look."""


class EngineStalled:
    """The engine thread has had work for ``limit_seconds`` and got nothing done.

    ``pulse`` is :meth:`workers.batching.BatchScheduler.pulse`. Loading a model is exempt: it may download or build for
    an hour. A limit below the longest batch ends healthy processes.
    """

    def __init__(self, pulse: Callable[[], Pulse], limit_seconds: float) -> None:
        self._pulse = pulse
        self._limit = limit_seconds
        self._seen: float | None = None
        self._stalled = 0.0

    def look(self, seconds: float) -> str | None:
        """Count the seconds without progress."""
        pulse = self._pulse()
        if not pulse.has_work or pulse.state == "loading" or pulse.last_progress != self._seen:
            self._seen, self._stalled = pulse.last_progress, 0.0
            return None
        self._stalled += seconds
        if self._stalled < self._limit:
            return None
        return (
            f"the engine thread is {pulse.state} and has got nothing done for {self._stalled:.0f} s with work waiting"
        )


class ConsumerDeaf:
    """Jobs wait, threads are free, and yet no delivery came for ``limit_seconds``: the consumer hears nothing.

    Seen after reconnects to Redis: process, pings and heartbeats go on, deliveries do not. ``waiting`` counts the jobs
    that this process should get (0 while the process drains), ``heard`` the deliveries that came so far (also those of
    held jobs, which are put aside), ``has_room`` says whether a thread is free for another one. What they raise (Redis
    is away, say) means that nothing is known, and the counting starts anew.
    """

    def __init__(
        self,
        waiting: Callable[[], int],
        heard: Callable[[], int],
        has_room: Callable[[], bool],
        limit_seconds: float,
    ) -> None:
        self._waiting = waiting
        self._heard = heard
        self._has_room = has_room
        self._limit = limit_seconds
        self._seen: int | None = None
        self._deaf = 0.0

    def look(self, seconds: float) -> str | None:
        """Count the seconds in which jobs waited in vain."""
        heard = self._heard()
        try:
            waiting = self._waiting() if self._has_room() else 0
        except Exception as error:  # noqa: BLE001 - whatever it is, it is not a reason to end the process
            logger.warning("cannot tell whether jobs wait: %s", error)
            waiting = 0
        if not waiting or heard != self._seen:
            self._seen, self._deaf = heard, 0.0
            return None
        self._deaf += seconds
        if self._deaf < self._limit:
            return None
        return f"{waiting} jobs wait and threads are free, but nothing was delivered for {self._deaf:.0f} s"


class Watchdog:
    """Looks at every check every ``every`` seconds, each on a thread of its own so that one that hangs hides no other.

    Time in which the whole process stood still (SIGSTOP, a suspended machine) counts as one look, not as a stall.
    A thread that hangs with the interpreter's lock in its hand stops these threads too: after ``frozen_seconds`` (None:
    never) a timer of the C library then ends the process with status 1. There is one such timer in a process.
    """

    def __init__(
        self,
        checks: "list[Check]",
        *,
        every: float = 1.0,
        frozen_seconds: float | None = None,
        end: "Callable[[str], object] | None" = None,
    ) -> None:
        self._every = every
        self._frozen = frozen_seconds
        self._end = end or end_process
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(check,), name=f"watchdog {type(check).__name__}", daemon=True)
            for check in checks
        ]
        if frozen_seconds is not None:
            self._threads.append(threading.Thread(target=self._wind_up, name="watchdog timer", daemon=True))

    def start(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more (when the process ends in order)."""
        self._stopped.set()
        if self._frozen is not None:
            faulthandler.cancel_dump_traceback_later()

    def _wind_up(self) -> None:
        """Put off the end of the process again and again."""
        while not self._stopped.is_set():
            faulthandler.dump_traceback_later(self._frozen or 0, exit=True, file=sys.__stderr__ or sys.stderr)
            self._stopped.wait(self._every)
        faulthandler.cancel_dump_traceback_later()

    def _watch(self, check: Check) -> None:
        before = time.monotonic()
        while not self._stopped.wait(self._every):
            now = time.monotonic()
            reason = check.look(min(now - before, 2 * self._every))
            before = now
            if reason is not None and not self._stopped.is_set():
                self._end(reason)
                return


def end_process(reason: str) -> NoReturn:
    """Write the reason and all stacks to the log and end the process at once with status 70."""
    threading.Thread(target=_write_last_words, args=(reason,), daemon=True).start()
    time.sleep(1.0)  # writing may hang on a lock or a full pipe; ending must not
    os._exit(EXIT_CODE)


def _write_last_words(reason: str) -> None:
    logger.critical("the watchdog ends process %d: %s", os.getpid(), reason)
    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
    for handler in logging.getLogger().handlers:
        handler.flush()
