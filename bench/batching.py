"""What batching across jobs gains: fill, padding and throughput against one by one and against batches as they come.

    python -m bench.batching [--seed 1] [--save]

The engine is simulated (virtual seconds, so the run is short and the same everywhere); the order of the units is
decided by the real ``workers.waiting``. Two cost models: *launch-bound* is a GPU in an autoregressive decoder, where
a step costs nearly the same for one row and for many; *compute-bound* is a CPU, where padding is paid for in full.
The last table measures the real scheduler: what it adds to a unit, and what a choice costs among 100,000 units.
"""

import argparse
import heapq
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import chain

from bench.results import save
from workers.batching import BatchScheduler
from workers.selection import Limits
from workers.waiting import Unit, WaitingRoom

LIMITS = Limits(max_cost=32_000, max_rows=32)
ENGINES: dict[str, Callable[[int, int], float]] = {
    "launch-bound": lambda rows, longest: 0.010 + 0.00040 * longest + 0.000004 * rows * longest,
    "compute-bound": lambda rows, longest: 0.010 + 0.00002 * longest + 0.000080 * rows * longest,
}


@dataclass
class Arrival:
    at: float
    job: str
    priority: int
    cost: int


class OneByOne:
    """Units in the order of arrival, one at a time."""

    def __init__(self):
        self.units = deque()

    def __len__(self):
        return len(self.units)

    def add(self, unit):
        self.units.append(unit)

    def take(self, _limits):
        return [self.units.popleft()]

    def any_full(self, _limits):
        return True


class AsTheyCome(OneByOne):
    """Batches of units in the order of arrival, up to the same limits."""

    def take(self, limits):
        batch, longest = [], 0
        while self.units and len(batch) < limits.max_rows:
            longest = max(longest, self.units[0].cost)
            if batch and longest * (len(batch) + 1) > limits.max_cost:
                break
            batch.append(self.units.popleft())
        return batch

    def any_full(self, limits):
        return len(self.units) >= limits.max_rows


class PerJob(AsTheyCome):
    """Batches of one job's units only: what a worker does that batches within a job."""

    def take(self, limits):
        job = self.units[0].job
        own, others = AsTheyCome(), deque()
        while self.units:
            unit = self.units.popleft()
            (own.units if unit.job == job else others).append(unit)
        batch = own.take(limits)
        self.units = own.units + others
        return batch


ORDERS = {"one by one": OneByOne, "a job at a time": PerJob, "as they come": AsTheyCome, "voxqueue": WaitingRoom}


@dataclass
class Outcome:
    seconds: float = 0.0
    batches: int = 0
    rows: int = 0
    real: int = 0
    padded: int = 0
    answers: dict[str, list[float]] = field(default_factory=dict)

    @property
    def throughput(self):
        return self.rows / self.seconds

    def waited(self, prefix):
        times = sorted(t for job, waits in self.answers.items() if job.startswith(prefix) for t in waits)
        return times[int(0.95 * (len(times) - 1))] if times else float("nan")


def simulate(order, arrivals: Iterable[Arrival], engine, *, linger=0.010, again=None, until=float("inf")) -> Outcome:
    """Run the arrivals through an order; ``again`` makes a client that has its answer ask anew (a closed loop)."""
    room, out, now = order(), Outcome(), 0.0
    coming = [(a.at, n, a) for n, a in enumerate(arrivals)]
    heapq.heapify(coming)
    number = len(coming)

    def admit(end):
        while coming and coming[0][0] <= end:
            at, _, a = heapq.heappop(coming)
            room.add(Unit(None, a.job, a.priority, a.cost, 0, at))

    while coming or len(room):
        if not len(room):
            now = max(now, coming[0][0])
        if now > until:
            break
        admit(now)
        latest = now + linger
        while not room.any_full(LIMITS) and now < latest:
            now = min(latest, coming[0][0]) if coming else latest
            admit(now)
        batch = room.take(LIMITS)
        longest = max(unit.cost for unit in batch)
        busy = engine(len(batch), longest)
        now += busy
        out.batches += 1
        out.rows += len(batch)
        out.real += sum(unit.cost for unit in batch)
        out.padded += longest * len(batch)
        for unit in batch:
            out.answers.setdefault(unit.job, []).append(now - unit.arrived)
            if again is not None and (arrival := again(now, unit)) is not None:
                number += 1
                heapq.heappush(coming, (arrival.at, number, arrival))
    out.seconds = now
    return out


def length(rng):
    """Mel frames of a sentence: median 220 (some 2.75 s at 80 a second), now and then very long."""
    return max(20, min(2000, int(rng.lognormvariate(5.4, 0.6))))


def books(rng):
    """40 books of 50 sentences, all there from the start."""
    return [Arrival(0.0, f"book {n % 40}", 9, length(rng)) for n in range(2000)], None


def mixed(rng):
    """A book of 3,000 sentences, and a stream of short interactive requests."""
    found = [Arrival(0.0, "book", 9, length(rng)) for _ in range(3000)]
    at = 0.0
    while at < 60:
        at += rng.expovariate(4.0)
        found.append(Arrival(at, f"one-liner {at:.3f}", 0, max(20, length(rng) // 3)))
    return found, None


def clients(rng):
    """64 clients with one sentence each, who ask for the next one some 8 ms after the last answer."""
    left = [2000]

    def again(now, unit):
        left[0] -= 1
        return Arrival(now + rng.expovariate(1 / 0.008), unit.job, 5, length(rng)) if left[0] > 0 else None

    return [Arrival(rng.random() / 50, f"client {n}", 5, length(rng)) for n in range(64)], again


def table(title, rows):
    lines = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([f"### {title}\n", lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""])


def compare(seed):
    for load in (books, mixed, clients):
        for name, engine in ENGINES.items():
            rows = [
                (
                    "order",
                    "sentences/s",
                    "of one by one",
                    "rows a batch",
                    "padding",
                    "95 % answered in",
                    "of these, interactive",
                )
            ]
            base = None
            for label, order in ORDERS.items():
                arrivals, again = load(random.Random(seed))
                out = simulate(order, arrivals, engine, again=again)
                base = base or out
                urgent = out.waited("one-liner")
                rows.append(
                    (
                        label,
                        f"{out.throughput:.1f}",
                        f"{out.throughput / base.throughput:.2f}×",
                        f"{out.rows / out.batches:.1f}",
                        f"{1 - out.real / out.padded:.1%}",
                        f"{out.waited(''):.2f} s",
                        f"{urgent:.2f} s" if urgent == urgent else "–",
                    )
                )
            yield table(f"{load.__doc__.rstrip('.')} ({name})", rows)


def compare_lingers(seed):
    rows = [("linger", *(f"{load.__name__}, {name}" for load in (clients, mixed) for name in ENGINES))]
    for linger in (0.0, 0.005, 0.010, 0.015, 0.030, 0.060):
        cells = []
        for load in (clients, mixed):
            for engine in ENGINES.values():
                arrivals, again = load(random.Random(seed))
                out = simulate(WaitingRoom, arrivals, engine, again=again, linger=linger)
                cells.append(f"{out.throughput:.1f}/s, {out.rows / out.batches:.1f} rows")
        rows.append((f"{linger * 1000:.0f} ms", *cells))
    yield table("The linger", rows)


class Nothing:
    """An engine that costs nothing, so that what is left is the scheduler."""

    def cost(self, payload):
        return payload

    def bucket(self, _payload):
        return 0

    def run(self, payloads):
        return payloads


def measure_the_scheduler():
    rows = [("units waiting", "add a unit", "take a batch, median", "longest")]
    for count in (1_000, 10_000, 100_000):
        room, rng = WaitingRoom(), random.Random(1)
        units = [Unit(None, f"job {n % 200}", n % 3, length(rng), 0, 0.0) for n in range(count)]
        started = time.perf_counter()
        for unit in units:
            room.add(unit)
        added = (time.perf_counter() - started) / count
        takes = []
        for _ in range(25):
            started = time.perf_counter()
            room.take(LIMITS)
            takes.append(time.perf_counter() - started)
        rows.append(
            (
                f"{count:,}",
                f"{added * 1e6:.1f} µs",
                f"{statistics.median(takes) * 1e3:.2f} ms",
                f"{max(takes) * 1e3:.2f} ms",
            )
        )
    yield table("The choice among many", rows)
    scheduler = BatchScheduler(Nothing(), max_cost=32_000, max_rows=32)
    scheduler.start()
    started = time.perf_counter()
    futures: list[Future] = [scheduler.submit(100, job="a") for _ in range(20_000)]
    for future in futures:
        future.result()
    spent = (time.perf_counter() - started) / len(futures)
    scheduler.stop(drain=True)
    yield f"The scheduler's part in a unit, from submit to result: {spent * 1e6:.0f} µs ({1 / spent:,.0f} units/s)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="enter the tables in bench/RESULTS.md")
    options = parser.parse_args()
    parts = []
    for part in chain(compare(options.seed), compare_lingers(options.seed), measure_the_scheduler()):
        print(part)
        parts.append(part)
    if options.save:
        save(
            "Batches across jobs (simulated engine)",
            f"python -m bench.batching --seed {options.seed}",
            "\n".join(parts),
        )


if __name__ == "__main__":
    main()
