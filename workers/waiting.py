"""The waiting units in the order in which they deserve the engine; not thread-safe, its owner locks.

Priority comes first. Within a priority, jobs share by start-time fair queueing (Goyal, Vin and Cheng 1996): a unit
gets at arrival the virtual time at which its job has had its share, so the fair order is a fixed sort key and a book
of 5,000 sentences cannot push back a one-liner that comes after it. Adding and taking cost O(log n).
"""

import heapq
from collections import Counter
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from workers.selection import Limits, choose

P = TypeVar("P")
R = TypeVar("R")

_WINDOWS = 8  # candidates looked at, in batches: more finds better lengths, fewer keep closer to the fair order
_MOST_CANDIDATES = 512


@dataclass(eq=False, slots=True)
class Unit(Generic[P, R]):
    """One row of work and its future; ``tag`` is its virtual start time, ``arrived`` and ``deadline`` are seconds.

    ``waiting`` says whether it is in the room; ``started`` whether it was in a batch before (out of memory sends
    units back). A unit that has ended holds neither payload nor future: both may be large, and the future holds it.
    """

    payload: P
    job: str
    priority: int
    cost: int
    bucket: Hashable
    arrived: float
    deadline: float | None = None
    future: "Future[R]" = field(default_factory=Future)
    tag: int = 0
    sequence: int = 0
    waiting: bool = False
    started: bool = False

    def begin(self) -> bool:
        """Mark the unit as running; False if its owner has cancelled it."""
        self.started = self.started or self.future.set_running_or_notify_cancel()
        return self.started

    def end(self, result: "R | BaseException") -> None:
        """Give the owner the result or the error, unless he has cancelled the unit, and let go of it."""
        if self.begin():
            if isinstance(result, BaseException):
                self.future.set_exception(result)
            else:
                self.future.set_result(result)
        self.close()

    def close(self) -> None:
        """Let go of payload and future."""
        del self.payload, self.future


_Heap = list[tuple[int, int, Unit[P, R]]]


@dataclass(slots=True)
class _Share:
    """What one job was granted in one priority: ``finish`` is the virtual time up to which it is served."""

    finish: int = 0
    waiting: int = 0


class _Rank(Generic[P, R]):
    """The units of one priority: a heap by virtual time for every bucket, and the jobs' shares.

    A rank lives while it has units: when the last one leaves, old accounts are closed and all start equal again.
    """

    def __init__(self) -> None:
        self.lines: dict[Hashable, _Heap[P, R]] = {}
        self.shares: dict[str, _Share] = {}
        self.count = 0
        self._prune_at = 64
        self._stale = 0

    def clock(self) -> int:
        """Virtual time: the start tag of the unit that is served next."""
        return min((line[0][0] for line in self.lines.values() if line), default=0)

    def add(self, unit: Unit[P, R], *, again: bool) -> None:
        clock = self.clock()
        share = self.shares.setdefault(unit.job, _Share())
        if again:
            unit.tag = min(unit.tag, clock)
        else:
            unit.tag = max(clock, share.finish)
            share.finish = unit.tag + unit.cost
        share.waiting += 1
        self.count += 1
        self.put(unit)
        if len(self.shares) >= self._prune_at:
            self._prune(clock)

    def put(self, unit: Unit[P, R]) -> None:
        heapq.heappush(self.lines.setdefault(unit.bucket, []), (unit.tag, unit.sequence, unit))

    def leave(self, unit: Unit[P, R], *, served: bool) -> None:
        """Count a unit out; one that did not run gives its job the share back."""
        share = self.shares[unit.job]
        share.waiting -= 1
        self.count -= 1
        if served:
            return
        if not unit.started:
            share.finish -= unit.cost
        self._stale += 1
        if self._stale > self.count + 64:
            self._sweep()

    def top(self) -> Unit[P, R]:
        """Find the unit that is served next; there must be one."""
        for bucket, line in list(self.lines.items()):
            while line and not line[0][2].waiting:
                heapq.heappop(line)
            if not line:
                del self.lines[bucket]
        return min(line[0] for line in self.lines.values())[2]

    def pop(self, bucket: Hashable, count: int) -> list[Unit[P, R]]:
        """Take the first units of a bucket out of its line, in fair order."""
        units: list[Unit[P, R]] = []
        line = self.lines.get(bucket, [])
        while line and len(units) < count:
            unit = heapq.heappop(line)[2]
            if unit.waiting:
                units.append(unit)
        return units

    def _sweep(self) -> None:
        """Drop the entries of units that were thrown out; between sweeps they only wait to come to the top."""
        self._stale = 0
        for bucket, line in self.lines.items():
            self.lines[bucket] = [entry for entry in line if entry[2].waiting]
            heapq.heapify(self.lines[bucket])

    def _prune(self, clock: int) -> None:
        """Forget jobs that wait for nothing and owe nothing: a new account would start at the same time."""
        self.shares = {job: s for job, s in self.shares.items() if s.waiting or s.finish > clock}
        self._prune_at = 2 * len(self.shares) + 64


class WaitingRoom(Generic[P, R]):
    """Holds units until a batch is taken or they are thrown out."""

    def __init__(self) -> None:
        self._ranks: dict[int, _Rank[P, R]] = {}
        self._rows: Counter[Hashable] = Counter()
        self._cost: Counter[Hashable] = Counter()
        self._deadlines: list[tuple[float, int, Unit[P, R]]] = []
        self._tidy_at = 64
        self._sequence = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Unit[P, R]]:
        lines = (line for rank in self._ranks.values() for line in rank.lines.values())
        return (unit for line in lines for _, _, unit in line if unit.waiting)

    def by_priority(self) -> dict[int, int]:
        """Count the waiting units of each priority; priorities without any are left out."""
        return {priority: self._ranks[priority].count for priority in sorted(self._ranks)}

    def add(self, unit: Unit[P, R], *, again: bool = False) -> None:
        """Let a unit wait; ``again`` puts one that was taken before in front of its priority, uncharged."""
        if not again:
            self._sequence += 1
            unit.sequence = self._sequence
        unit.waiting = True
        self._count += 1
        self._ranks.setdefault(unit.priority, _Rank()).add(unit, again=again)
        self._rows[unit.bucket] += 1
        self._cost[unit.bucket] += unit.cost
        if unit.deadline is not None:
            heapq.heappush(self._deadlines, (unit.deadline, unit.sequence, unit))
            self._tidy_deadlines()

    def fills(self, bucket: Hashable, limits: Limits) -> bool:
        """Whether the units of a bucket are enough for a full batch (by count or by their unpadded sum)."""
        return self._rows[bucket] >= limits.max_rows or self._cost[bucket] >= limits.max_cost

    def any_full(self, limits: Limits) -> bool:
        """Whether some bucket has enough for a full batch."""
        return any(self.fills(bucket, limits) for bucket in self._rows)

    def take(self, limits: Limits, before: int | None = None) -> list[Unit[P, R]]:
        """Remove and return the next batch, by priority, longest unit first; empty when nothing waits.

        ``before``: only of units that are more urgent than this priority.
        """
        ranks = sorted(rank for rank in self._ranks if before is None or rank < before)
        if not ranks:
            return []
        bucket = self._ranks[ranks[0]].top().bucket
        room = max(limits.max_rows, min(_WINDOWS * limits.max_rows, _MOST_CANDIDATES))
        window: list[Unit[P, R]] = []
        for priority in ranks:
            window += self._ranks[priority].pop(bucket, room - len(window))
        picked = set(choose([u.cost for u in window], [u.priority for u in window], limits))
        for i, unit in enumerate(window):
            if i not in picked:
                self._ranks[unit.priority].put(unit)
        batch = [window[i] for i in sorted(picked)]
        for unit in batch:
            self._leave(unit, served=True)
        return sorted(batch, key=lambda unit: (unit.priority, -unit.cost))

    def throw_out(self, unit: Unit[P, R]) -> None:
        """Remove a waiting unit; its entry may stay in a line until it comes to the top."""
        self._leave(unit, served=False)

    def throw_out_all(self) -> list[Unit[P, R]]:
        """Throw out and return every unit."""
        units = list(self)
        for unit in units:
            self.throw_out(unit)
        return units

    def expire(self, now: float) -> list[Unit[P, R]]:
        """Throw out and return the units whose deadline has passed."""
        late = []
        while self._deadlines and self._deadlines[0][0] <= now:
            unit = heapq.heappop(self._deadlines)[2]
            if unit.waiting:
                self.throw_out(unit)
                late.append(unit)
        return late

    def _leave(self, unit: Unit[P, R], *, served: bool) -> None:
        unit.waiting = False
        self._count -= 1
        self._rows[unit.bucket] -= 1
        self._cost[unit.bucket] -= unit.cost
        if not self._rows[unit.bucket]:
            del self._rows[unit.bucket], self._cost[unit.bucket]
        rank = self._ranks[unit.priority]
        rank.leave(unit, served=served)
        if not rank.count:
            del self._ranks[unit.priority]

    def _tidy_deadlines(self) -> None:
        """Let go of units that ran long before their deadline: their payloads may be large."""
        if len(self._deadlines) < self._tidy_at:
            return
        self._deadlines = [entry for entry in self._deadlines if entry[2].waiting]
        heapq.heapify(self._deadlines)
        self._tidy_at = 2 * len(self._deadlines) + 64
