"""A claimed job in the hands of a task thread: may it go on, and how it is told to stop."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Any

from jobs.errors import LeaseLost
from jobs.ledger import Claim, Ledger
from jobs.record import Job, Problem
from workers.insist import insist


class Wish(IntEnum):
    """What others want of a session; a stronger wish replaces a weaker one."""

    GO = 0
    YIELD = 1
    """More urgent work waits, or the slice is over: give the thread back, go to the end of the line."""
    DRAIN = 2
    """The process ends: give the job back, to the front of the line."""
    CANCEL = 3
    """The client does not want it any more."""
    LOST = 4
    """Another process has it, or it is deleted: write nothing more."""


class Stop(Exception):
    """Ends the handler of a session."""

    def __init__(self, wish: Wish) -> None:
        super().__init__(wish.name)
        self.wish = wish


class JobFailed(Exception):
    """The job cannot be done; `problem` tells the client why."""

    def __init__(self, code: str, title: str, detail: str) -> None:
        super().__init__(code, title, detail)  # all of them, so that Celery can pickle it for its events
        self.problem = Problem(code, title, detail)

    def __str__(self) -> str:
        """Return what Flower shows."""
        return f"{self.problem.title}: {self.problem.detail}"


def _nothing() -> None: ...


class Session:
    """One claim, its wish and its progress. `wish` is set by other threads, the rest belongs to the task thread."""

    def __init__(self, claim: Claim, ledger: Ledger) -> None:
        self.claim = claim
        self.ledger = ledger
        self.started = time.monotonic()
        self.on_wish: Callable[[], None] = _nothing
        """Called on the wishing thread, to wake a task thread that waits for results."""
        self.idle = False
        """Whether it only waits for its turn: then it is the first to give its thread back."""
        self.after_commit: list[Callable[[], None]] = []
        """Tidying up that waits until the result is visible: what a next attempt would need goes last."""
        self.proven = True
        """Whether a unit was finished since the last `rest`: until then nobody knows whether what failed is mended."""
        self._prepared = 0.0
        self._preparing_since: float | None = None
        self._wish = Wish.CANCEL if claim.job.cancel else Wish.GO
        self._lock = threading.Lock()
        self.deadline = None if claim.seconds_left is None else time.monotonic() + claim.seconds_left
        """When the job has failed by taking too long, in seconds of `time.monotonic`."""

    @property
    def job(self) -> Job:
        """The job as it was claimed."""
        return self.claim.job

    @property
    def wish(self) -> Wish:
        """What is wanted of this session."""
        return self._wish

    def want(self, wish: Wish) -> None:
        """Ask the session to stop; a weaker wish than the present one changes nothing.

        Nor does a wish to yield while it is not proven that the work goes on: the next claim would begin its tries
        anew, and a job that takes turns with others would never fail.
        """
        with self._lock:
            if wish <= self._wish or (wish is Wish.YIELD and not self.proven):
                return
            self._wish = wish
        self.on_wish()

    def check(self) -> None:
        """Return if the session may go on. Raises `Stop`, or `JobFailed` after the deadline. Call it between units."""
        if self._wish is not Wish.GO:
            raise Stop(self._wish)
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise JobFailed(
                "deadline_exceeded",
                "The deadline has passed",
                f"the job was not done within timeout_seconds={self.job.timeout_seconds:g}; "
                "give it more time or a higher priority",
            )

    def rest(self, seconds: float) -> None:
        """Wait before the work begins again; what it noted for the time after its commit is void.

        Raises `Stop` or `JobFailed` like `check`, as soon as somebody wishes it. A wish to yield is forgotten: the next
        thread would meet the same failure at once.
        """
        self.after_commit.clear()
        with self._lock:
            self.proven = False
            if self._wish is Wish.YIELD:
                self._wish = Wish.GO
        woken = threading.Event()
        self.on_wish = woken.set
        end = min(time.monotonic() + seconds, self.deadline or math.inf)
        try:
            while (left := end - time.monotonic()) > 0 and self._wish is Wish.GO:
                woken.wait(left)
                woken.clear()
        finally:
            self.on_wish = _nothing
        self.check()

    @contextlib.contextmanager
    def awaiting_turn(self) -> Iterator[None]:
        """Wait meanwhile for a turn, and do nothing that could end the process: its death is not this job's doing.

        Raises `Stop` if the lease is lost.
        """
        self._await(awaiting=True)
        yield
        self._await(awaiting=False)

    def _await(self, *, awaiting: bool) -> None:
        try:
            insist(lambda: self.ledger.await_turn(self.claim, awaiting=awaiting), "telling that a job waits")
        except LeaseLost:
            self._lost()

    def insist(self) -> None:
        """Like `check`, but go on if only the thread is wanted: for the end of a job, which would start again."""
        if self._wish is not Wish.YIELD:
            self.check()

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Count what is done meanwhile as work that a next attempt would have to do again."""
        self._preparing_since = began = time.monotonic()
        try:
            yield
        finally:
            self._prepared += time.monotonic() - began
            self._preparing_since = None

    def seconds_of_work(self, now: float) -> float:
        """Return how long it has worked for good: giving up after less would be mostly work done twice."""
        since = self._preparing_since
        return now - self.started - 2 * (self._prepared + (0.0 if since is None else now - since))

    def units(self) -> dict[str, dict[str, Any]]:
        """Return the journal: units that an earlier attempt or slice has finished."""
        return self.ledger.units(self.job.id)

    def register(self, name: str, unit: dict[str, Any], *, done: int, total: int) -> None:
        """Enter a finished unit in the journal. Raises `Stop` if the lease is lost."""
        try:
            insist(lambda: self.ledger.register(self.claim, name, unit, done=done, total=total), "registering a unit")
        except LeaseLost:
            self._lost()
        self.proven = True

    def progress(self, done: int, total: int, unit: str) -> None:
        """Tell how far the job is. Raises `Stop` if the lease is lost."""
        try:
            insist(lambda: self.ledger.progress(self.claim, done, total, unit), "telling progress")
        except LeaseLost:
            self._lost()

    def _lost(self) -> None:
        self.want(Wish.LOST)
        raise Stop(Wish.LOST)
