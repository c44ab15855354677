"""What the batch scheduler reports about itself."""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

WAIT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)


ROW_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bin: ``counts[i]`` values were at most ``bounds[i]``, the last count is of those above all."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float

    @property
    def count(self) -> int:
        """How many values were seen."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """The mean of the values; 0.0 before the first."""
        return self.total / self.count if self.count else 0.0


class HistogramCounter:
    """Counts values into bins; not thread-safe, its owner locks."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def snapshot(self) -> Histogram:
        """Return the counts so far."""
        return Histogram(self._bounds, tuple(self._counts), self._total)


@dataclass(frozen=True, slots=True)
class BatchStats:
    """A snapshot of a scheduler. Times are seconds of the scheduler's clock (``time.monotonic``).

    ``units`` ended with a result or with an error of their own (``failed`` of them); ``cancelled`` and ``expired`` ones
    never ran. ``batches`` and ``rows`` count engine runs that succeeded, ``failed_runs`` those that did not,
    ``out_of_memory`` those of them for want of memory. ``cost`` is what was run, padding included, in units of the
    engine (frames, chunks), ``padding`` the padded part of it, ``padding_ratio`` their ratio. ``loads`` counts loads of
    the model, ``loading_seconds`` is their sum.
    ``state`` is one of new, loading, idle, lingering, running, unloaded, broken, stopped. ``waiting`` maps a
    priority to the units waiting in it. ``running_since`` is the start of the engine run in progress.
    ``last_progress`` is when the engine thread last ended something, or when work arrived after it had none.
    """

    units: int
    failed: int
    cancelled: int
    expired: int
    batches: int
    rows: int
    failed_runs: int
    out_of_memory: int
    mean_batch_rows: float
    padding_ratio: float
    engine_busy_seconds: float
    wait_seconds: Histogram
    batch_rows: Histogram
    cost: int
    padding: int
    loads: int
    loading_seconds: float
    state: str
    waiting: dict[int, int]
    running_since: float | None
    last_progress: float
    max_cost: int
    max_rows: int
    load_seconds: float | None

    @property
    def has_work(self) -> bool:
        """Whether units wait or run."""
        return bool(self.waiting) or self.running_since is not None


@dataclass(frozen=True, slots=True)
class Pulse:
    """The vital signs of a scheduler; the fields mean what they mean in :class:`BatchStats`."""

    state: str
    has_work: bool
    last_progress: float


class Meter:
    """Counts what :class:`BatchStats` reports; not thread-safe, its owner locks."""

    def __init__(self) -> None:
        self.units = self.failed = self.cancelled = self.expired = 0
        self.batches = self.rows = self.failed_runs = self.out_of_memory = 0
        self._real = self._padded = 0
        self._busy = 0.0
        self._waits = HistogramCounter(WAIT_BOUNDS)
        self._sizes = HistogramCounter(ROW_BOUNDS)
        self._loads = 0
        self._loading = 0.0

    def waited(self, seconds: float) -> None:
        """Count a unit that begins to run."""
        self._waits.add(seconds)

    def ran(self, costs: list[int], seconds: float, *, failed: int) -> None:
        """Count an engine run with results for units of these costs, ``failed`` of which are errors."""
        self.batches += 1
        self.rows += len(costs)
        self.units += len(costs)
        self.failed += failed
        self._real += sum(costs)
        self._padded += max(costs) * len(costs)
        self._busy += seconds
        self._sizes.add(len(costs))

    def loaded(self, seconds: float) -> None:
        """Count a load of the model."""
        self._loads += 1
        self._loading += seconds

    def ran_in_vain(self, seconds: float) -> None:
        """Count an engine run that raised."""
        self.failed_runs += 1
        self._busy += seconds

    def unit_failed(self) -> None:
        """Count a unit that failed with an error of its own."""
        self.units += 1
        self.failed += 1

    def snapshot(self, **now: Any) -> BatchStats:
        """Return the counts together with the present state of the scheduler."""
        return BatchStats(
            units=self.units,
            failed=self.failed,
            cancelled=self.cancelled,
            expired=self.expired,
            batches=self.batches,
            rows=self.rows,
            failed_runs=self.failed_runs,
            out_of_memory=self.out_of_memory,
            mean_batch_rows=self.rows / self.batches if self.batches else 0.0,
            padding_ratio=1 - self._real / self._padded if self._padded else 0.0,
            engine_busy_seconds=self._busy,
            wait_seconds=self._waits.snapshot(),
            batch_rows=self._sizes.snapshot(),
            cost=self._padded,
            padding=self._padded - self._real,
            loads=self._loads,
            loading_seconds=self._loading,
            **now,
        )
