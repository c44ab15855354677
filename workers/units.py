"""Runs the units of one job through the batch scheduler: a window ahead, results as they come, stopping in order."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from workers.batching import BatchScheduler
from workers.faults import DeadlinePassed
from workers.session import Session, Stop, Wish

P = TypeVar("P")
R = TypeVar("R")
Done = queue.SimpleQueue[tuple[str, Future[R]] | None]
"""Finished units in the order of their end; None wakes the reader."""
PATIENCE_SECONDS = 1.0
"""How often a waiting session looks at its deadline; wishes wake it at once."""


def run_units(
    session: Session,
    scheduler: BatchScheduler[P, R],
    units: Iterable[tuple[str, P]],
    on_done: Callable[[str, Future[R]], None],
    *,
    window: int,
) -> None:
    """Submit `units` (name, payload), at most `window` at a time, and hand each finished one to `on_done`.

    `on_done` runs on this thread and gets the future, whose result or exception it takes. When the session is asked to
    stop, waiting units are cancelled; those in the running batch still reach `on_done` (except if the lease is lost or
    the job cancelled), so that nothing that was computed is computed again. Then `Stop` or `JobFailed` is raised.
    """
    done: Done[R] = queue.SimpleQueue()
    session.on_wish = lambda: done.put(None)
    pending: dict[str, Future[R]] = {}
    source = iter(units)
    more = True
    try:
        while more or pending:
            session.check()
            if more and len(pending) < window:
                more = _submit_next(session, scheduler, source, pending, done)
                finished = _take(done, wait=not more and bool(pending))
            else:
                finished = _take(done, wait=True)
            if finished is not None:
                name, future = finished
                del pending[name]
                if isinstance(future.exception(), DeadlinePassed):
                    session.check()  # says so to the client
                on_done(name, future)
    except BaseException as reason:
        for future in pending.values():
            future.cancel()
        if isinstance(reason, Stop) and reason.wish in {Wish.YIELD, Wish.DRAIN}:
            _keep_running_ones(pending, done, on_done)
        raise
    finally:
        session.on_wish = lambda: None


def _submit_next(
    session: Session,
    scheduler: BatchScheduler[P, R],
    source: Iterator[tuple[str, P]],
    pending: dict[str, Future[R]],
    done: Done[R],
) -> bool:
    """Submit one unit; False when there are no more."""
    try:
        name, payload = next(source)
    except StopIteration:
        return False
    future = scheduler.submit(payload, job=session.job.id, priority=session.job.priority, deadline=session.deadline)
    pending[name] = future
    future.add_done_callback(lambda finished: done.put((name, finished)))
    return True


def _take(done: Done[R], *, wait: bool) -> tuple[str, Future[R]] | None:
    try:
        return done.get(timeout=PATIENCE_SECONDS) if wait else done.get_nowait()
    except queue.Empty:
        return None


def _keep_running_ones(pending: dict[str, Future[R]], done: Done[R], on_done: Callable[[str, Future[R]], None]) -> None:
    """Wait for the units of the running batch, so that nothing that was computed is computed again."""
    while pending:
        finished = done.get()
        if finished is None:
            continue
        name, future = finished
        del pending[name]
        if not future.cancelled() and not isinstance(future.exception(), DeadlinePassed):
            on_done(name, future)
