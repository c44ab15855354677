"""The batch scheduler: many threads hand in units, one engine thread owns the model and runs them in padded batches.

A unit is one row of a batch (a sentence, a speech chunk). Which units share the next batch is decided when the engine
is free, by priority, then fair share between jobs, then length (see ``waiting`` and ``selection``). An engine that
hands out rows one by one (see ``engine``) is free for what is more urgent between any two of them.

What can go wrong in an engine run, and what follows:

* any exception: the batch is split in halves until the bad unit fails alone; the others run at most log2(rows) more
  times. An engine may also return an exception in place of one unit's result: that fails only this unit;
* out of memory: the limits halve (``limits``) and the units wait again, in front; a unit that is alone fails;
* a fatal error (a CUDA context never recovers from most of its errors): the scheduler is broken, every unit fails with
  :class:`EngineBroken`, and ``on_broken`` is called so that the process can be replaced.
"""

import logging
import math
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from jobs.tracing import batched
from workers.attempt import Attempt, padded_cost
from workers.clock import Clock
from workers.engine import Engine, EngineLife
from workers.faults import DeadlinePassed, EngineBroken, SchedulerStopped, is_fatal, is_out_of_memory
from workers.limits import AdaptiveLimits
from workers.selection import Limits
from workers.stats import BatchStats, Meter, Pulse
from workers.waiting import Unit, WaitingRoom

__all__ = ["BatchScheduler", "Clock", "DeadlinePassed", "Engine", "EngineBroken", "SchedulerStopped"]

logger = logging.getLogger(__name__)
P = TypeVar("P")
R = TypeVar("R")


class BatchScheduler(Generic[P, R]):
    """Batches units of many jobs for one engine.

    ``max_cost`` (padded cost of a batch) bounds memory; a unit above it runs alone. ``max_rows`` bounds the rows. Both
    too low waste the device, too high run out of memory or keep an interactive unit waiting for a long batch.
    ``linger_seconds`` is how long a free engine waits for more when there is not enough for a full batch, at most
    ``linger_share`` of its last run: too low gives small batches, too high adds to every answer. After
    ``idle_unload_seconds`` without work the model is unloaded (None: never). ``on_broken`` gets the error.
    """

    def __init__(  # noqa: PLR0913 - every one a setting with a sensible default
        self,
        engine: Engine[P, R],
        *,
        max_cost: int,
        max_rows: int,
        linger_seconds: float = 0.01,
        linger_share: float = 0.5,
        name: str = "engine",
        max_stretch: float = 3.0,
        idle_unload_seconds: float | None = None,
        out_of_memory: Callable[[BaseException], bool] = is_out_of_memory,
        fatal: Callable[[BaseException], bool] = is_fatal,
        on_broken: Callable[[BaseException], None] = lambda _error: None,
        clock: Clock | None = None,
    ) -> None:
        self._engine = engine
        self._life = EngineLife(engine)
        self._limits = AdaptiveLimits(Limits(max_cost, max_rows, max_stretch))
        self._linger, self._linger_share = linger_seconds, linger_share
        self._idle_unload = idle_unload_seconds
        self._out_of_memory = out_of_memory
        self._fatal = fatal
        self._on_broken = on_broken
        self._clock = clock or Clock()
        self._changed = threading.Condition(threading.Lock())
        self._room: WaitingRoom[P, R] = WaitingRoom()
        self._in_hand: dict[Unit[P, R], None] = {}
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._ready = threading.Event()
        self._state = "new"
        self._stopping = False
        self._dropping = False
        self._broken: BaseException | None = None
        self._load_seconds: float | None = None
        self._running_since: float | None = None
        self._last_progress = self._clock.now()
        self._last_run = math.inf
        self._meter = Meter()

    def start(self) -> None:
        """Start the engine thread, which first loads the model."""
        self._thread.start()

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the model is loaded; False when it is not in time. Raises EngineBroken if it cannot be."""
        ready = self._ready.wait(timeout)
        self._raise_if_broken()
        return ready

    def stop(self, drain: bool, timeout: float | None = None) -> bool:  # noqa: FBT001 - the contract's signature
        """End the engine thread and say whether it ended within ``timeout`` seconds. Takes no more units.

        ``drain=True`` first runs everything that waits. ``drain=False`` lets the running engine call end and fails
        the rest with SchedulerStopped. May be called again, and from any thread.
        """
        with self._changed:
            self._stopping = True
            self._dropping |= not drain
            self._changed.notify_all()
        if self._thread.ident is None:
            self._fail_waiting()
            return True
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def submit(self, payload: P, *, job: str, priority: int = 5, deadline: float | None = None) -> "Future[R]":
        """Let a unit wait for its batch. ``priority`` 0 is the highest; ``deadline`` is in time.monotonic() seconds.

        The future's callbacks run on the engine thread: keep them short. Raises EngineBroken or SchedulerStopped when
        nothing will run any more, ValueError when the engine prices the unit below 1.
        """
        cost = self._engine.cost(payload)
        if cost < 1:
            raise ValueError(f"the cost of a unit of job {job} is {cost}: it must be at least 1")
        bucket = self._engine.bucket(payload)
        unit: Unit[P, R] = Unit(payload, job, priority, cost, bucket, self._clock.now(), deadline)
        future = unit.future
        with self._changed:
            self._raise_if_broken()
            if self._stopping:
                raise SchedulerStopped("the scheduler takes no more units: it was stopped")
            if not self._room and self._running_since is None:
                self._last_progress = unit.arrived
            self._room.add(unit)
            if self._state == "lingering":
                if self._room.fills(bucket, self._limits.current):
                    self._changed.notify_all()
            elif self._state in ("idle", "unloaded"):
                self._changed.notify_all()
        future.add_done_callback(lambda future: self._on_done(unit, future))
        return future

    def pulse(self) -> Pulse:
        """Say whether there is work and when something was last done, without a lock: for the watchdog."""
        return Pulse(self._state, bool(self._room) or self._running_since is not None, self._last_progress)

    def stats(self) -> BatchStats:
        """Return a consistent snapshot."""
        with self._changed:
            limits = self._limits.current
            return self._meter.snapshot(
                state=self._state,
                waiting=self._room.by_priority(),
                running_since=self._running_since,
                last_progress=self._last_progress,
                max_cost=limits.max_cost,
                max_rows=limits.max_rows,
                load_seconds=self._load_seconds,
            )

    # The engine thread, top down.

    def _live(self) -> None:
        try:
            self._load()
            while self._work():
                pass
            self._life.unload()
            self._fail_waiting()
        except BaseException as error:  # noqa: BLE001 - whatever it is, nobody may wait for this thread any more
            self._break(error)

    def _work(self) -> bool:
        """Run one batch, or unload for want of work; False when the thread is to end."""
        with self._changed:
            found = self._await_units()
            if self._dropping or (self._stopping and not self._room):
                return False
        if not found:
            self._life.unload()
            return True
        self._load()
        batch = self._next_batch()
        if batch:
            self._run(batch)
        return True

    def _await_units(self) -> bool:
        """Wait (the lock held) until there is a batch worth running; False after a long time without any unit."""
        since = self._clock.now()
        while not self._room and not self._stopping:
            self._state = "idle" if self._life.loaded else "unloaded"
            left = None
            if self._life.loaded and self._idle_unload is not None:
                left = since + self._idle_unload - self._clock.now()
                if left <= 0:
                    return False
            self._clock.wait(self._changed, left)
        until = self._clock.now() + min(self._linger, self._last_run * self._linger_share)
        while not self._stopping and not self._room.any_full(self._limits.current):
            self._state = "lingering"
            left = until - self._clock.now()
            if left <= 0 or not self._room:
                break
            self._clock.wait(self._changed, left)
        self._state = "running"
        return True

    def _next_batch(self, before: int | None = None) -> list[Unit[P, R]]:
        """Take the next batch (of units more urgent than ``before``), and fail what has waited too long."""
        with self._changed:
            late = self._room.expire(self._clock.now())
            self._meter.expired += len(late)
            batch = self._begin(self._room.take(self._limits.current, before))
        for unit in late:
            unit.end(DeadlinePassed("the deadline passed while the unit waited for its batch"))
        return batch

    def _begin(self, units: list[Unit[P, R]]) -> list[Unit[P, R]]:
        """Mark units as running (the lock held), leaving out what was cancelled at the last moment."""
        now = self._clock.now()
        batch: list[Unit[P, R]] = []
        for unit in units:
            first = not unit.started
            if unit.begin():
                if first:
                    self._meter.waited(now - unit.arrived)
                batch.append(unit)
                self._in_hand[unit] = None
            else:
                self._meter.cancelled += 1
                unit.close()
        if batch:
            self._running_since = now
        return batch

    def _run(self, batch: list[Unit[P, R]]) -> None:
        parts = [batch]
        while parts and not self._dropping:
            part = parts.pop()
            parts += self._attempt(part)
        for unit in [unit for unit in batch if unit in self._in_hand]:
            self._fail(unit, SchedulerStopped("the scheduler was stopped before it ended the unit"))

    def _attempt(self, part: list[Unit[P, R]]) -> list[list[Unit[P, R]]]:
        """Run some units in one batch; returns the parts in which to try them again, the next one last."""
        attempt = Attempt(self._engine, part, self._clock)
        self._running_since = attempt.began
        for unit, result in attempt:
            if not attempt.left:
                self._count(attempt)  # first, so that whoever has all results finds them counted
            del self._in_hand[unit]
            unit.end(result)
            if attempt.streams and attempt.left:
                self._last_progress = self._clock.now()
                attempt.aside += self._let_pass(min(unit.priority for unit in attempt.left))
                self._running_since = attempt.began
                if self._dropping:
                    break
        if not attempt.left:
            return []
        self._count(attempt)
        return [] if attempt.error is None else self._after_failure(attempt, attempt.error)

    def _let_pass(self, priority: int) -> float:
        """Run, between two rows of a long batch, what is more urgent than its remaining rows; returns the seconds."""
        began = self._clock.now()
        while not self._dropping and (batch := self._next_batch(before=priority)):
            self._run(batch)
        return self._clock.now() - began

    def _count(self, attempt: Attempt[P, R]) -> None:
        """Note that an engine run is over: of what had results, and of what did not."""
        done = attempt.done
        with self._changed:
            self._last_progress = self._clock.now()
            self._running_since = None
            self._last_run = seconds = attempt.seconds
            if done:
                self._limits.succeeded(padded_cost(done), len(done))
                self._meter.ran([unit.cost for unit in done], seconds, failed=attempt.failed)
            if attempt.error is not None:
                self._meter.ran_in_vain(0.0 if done else seconds)
        batched([unit.job for unit in done], seconds)

    def _after_failure(self, attempt: Attempt[P, R], error: BaseException) -> list[list[Unit[P, R]]]:
        traceback.clear_frames(error.__traceback__)  # they hold the tensors of the batch
        if self._out_of_memory(error):
            self._make_room(attempt, error)
            return []
        if self._fatal(error):
            raise error
        left = attempt.left
        if len(attempt.units) == 1:
            self._fail(left[0], error)
            return []
        logger.warning("a batch of %d failed and is split: %s: %s", len(attempt.units), type(error).__name__, error)
        middle = len(left) // 2
        return [part for part in (left[middle:], left[:middle]) if part]

    def _make_room(self, attempt: Attempt[P, R], error: BaseException) -> None:
        """After running out of memory: lower the limits and let the units wait again; a lone one fails."""
        units = attempt.units
        with self._changed:
            self._meter.out_of_memory += 1
            self._limits.shrink(padded_cost(units), len(units))
        self._life.trim()
        if len(units) == 1:
            if self._limits.hopeless:
                raise error
            self._fail(units[0], error)
            return
        with self._changed:
            for unit in attempt.left:
                del self._in_hand[unit]
                self._room.add(unit, again=True)

    def _fail(self, unit: Unit[P, R], error: BaseException) -> None:
        with self._changed:
            self._meter.unit_failed()
        del self._in_hand[unit]
        unit.end(error)

    def _load(self) -> None:
        if self._life.loaded:
            return
        self._state = "loading"
        started = self._clock.now()
        self._life.load()
        self._last_progress = self._clock.now()
        self._load_seconds = self._last_progress - started
        with self._changed:
            self._meter.loaded(self._load_seconds)
        self._state = "running"
        self._ready.set()

    def _break(self, error: BaseException) -> None:
        logger.critical("engine %s is broken", self._thread.name, exc_info=error)
        with self._changed:
            self._broken = error
            self._state = "broken"
            self._running_since = None
            units = [*self._in_hand, *self._room.throw_out_all()]
            self._in_hand.clear()
        for unit in units:
            broken = EngineBroken(f"the engine broke: {type(error).__name__}: {error}")
            broken.__cause__ = error
            unit.end(broken)
        self._ready.set()
        self._on_broken(error)

    def _fail_waiting(self) -> None:
        with self._changed:
            self._state = "stopped"
            units = self._room.throw_out_all()
        for unit in units:
            unit.end(SchedulerStopped("the scheduler was stopped before it ran this unit"))

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise EngineBroken(f"the engine broke: {self._broken}") from self._broken

    def _on_done(self, unit: Unit[P, R], future: "Future[R]") -> None:
        """Let go of a unit whose owner cancelled it while it waited, and wake who waits for its future."""
        if not future.cancelled():
            return
        with self._changed:
            if not unit.waiting:
                return
            self._room.throw_out(unit)
            self._meter.cancelled += 1
            self._changed.notify_all()
        future.set_running_or_notify_cancel()
        unit.close()
