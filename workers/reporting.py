"""What a worker says about itself: its line in `GET /v1/workers`, and the voices or models it has."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from redis import RedisError

from jobs.figures import Figures
from workers.gpu import gpu_figures
from workers.memory import resident_bytes
from workers.stats import BatchStats, Histogram

if TYPE_CHECKING:
    from workers.process import WorkerProcess

log = logging.getLogger(__name__)
EVERY_SECONDS = 2.0


class Reporter:
    """A thread that publishes the worker's report."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process
        self._figures = Figures(process.redis)
        self._counted: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="reporter", daemon=True)
        self.started = False

    def start(self) -> None:
        """Publish the first report and the catalogue, then go on by itself."""
        self.started = True
        self._publish_catalogue()
        self._process.registry.publish_worker(self._process.name, self.report())
        self._thread.start()

    def stop(self) -> None:
        """Withdraw the worker from the list."""
        self._stop.set()
        try:
            self._count()
            self._process.registry.withdraw_worker(self._process.name)
        except RedisError as error:
            log.warning("withdrawing from the list of workers failed: %s", error)

    def _live(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                self._process.registry.publish_worker(self._process.name, self.report())
                self._process.registry.enter_process(self._process.identity)
                self._count()
            except RedisError as error:
                log.warning("reporting failed: %s", error)

    def _count(self) -> None:
        """Add what has happened since the last time to the figures that outlive this process."""
        now = self._totals()
        self._figures.add(
            self._process.kind, {name: value - self._counted.get(name, 0.0) for name, value in now.items()}
        )
        self._counted = now

    def _totals(self) -> dict[str, float]:
        process = self._process
        found: dict[str, float] = {
            "recovered": process.sweeper.recovered,
            "resent": process.sweeper.resent,
            "orphans": process.tidier.orphans,
            "without_files": process.tidier.without_files,
        }
        return found if process.scheduler is None else found | _engine_totals(process.scheduler.stats())

    def report(self) -> dict[str, Any]:
        """Return the worker's line."""
        process = self._process
        found: dict[str, Any] = {
            "name": process.name,
            "kind": process.kind,
            "device": "cpu",
            "precision": None,
            "engine": None,
            "model": None,
            "load_seconds": None,
            "warmup_seconds": None,
        }
        if process.engine is not None:
            found |= process.engine.report()
        found |= {
            "jobs": process.runner.claims,
            "jobs_in_hand": len(process.leases),
            "draining": process.leases.draining,
            "recovered": process.sweeper.recovered,
            "resent": process.sweeper.resent,
            "orphans": process.tidier.orphans,
            "without_files": process.tidier.without_files,
            "memory_bytes": resident_bytes(),
            "units": 0,
            "batches": 0,
            "mean_batch_rows": 0.0,
            "padding_ratio": 0.0,
        }
        found |= gpu_figures(str(found["device"]))
        if process.scheduler is not None:
            stats = process.scheduler.stats()
            found |= {
                "state": stats.state,
                "units": stats.units,
                "failed_units": stats.failed,
                "batches": stats.batches,
                "mean_batch_rows": round(stats.mean_batch_rows, 3),
                "padding_ratio": round(stats.padding_ratio, 4),
                "engine_busy_seconds": round(stats.engine_busy_seconds, 3),
                "units_waiting": sum(stats.waiting.values()),
                "unit_wait_seconds": round(stats.wait_seconds.mean, 4),
                "out_of_memory": stats.out_of_memory,
                "max_batch_cost": stats.max_cost,
                "max_batch_rows": stats.max_rows,
            }
        return found

    def _publish_catalogue(self) -> None:
        engine = self._process.engine
        if engine is not None:
            catalogue, entries = engine.offers()
            self._process.registry.publish(catalogue, entries)


def _engine_totals(stats: BatchStats) -> dict[str, float]:
    return {
        "units": stats.units,
        "failed_units": stats.failed,
        "batches": stats.batches,
        "cost": stats.cost,
        "padding": stats.padding,
        "busy": stats.engine_busy_seconds,
        "out_of_memory": stats.out_of_memory,
        "loads": stats.loads,
        "loading": stats.loading_seconds,
        **_histogram("rows", stats.batch_rows),
        **_histogram("unit_wait", stats.wait_seconds),
    }


def _histogram(name: str, found: Histogram) -> dict[str, float]:
    bounds = [f"{bound:.14g}" for bound in found.bounds] + ["inf"]
    counts = {f"{name}:{bound}": float(count) for bound, count in zip(bounds, found.counts, strict=True)}
    return {**counts, f"{name}_sum": found.total}
