"""The figures of the stack for Prometheus, read from the ledger and from the workers' reports at each scrape.

They are the same from every web process, so several of them do no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import RedisError

from jobs.broker import QUEUES, STEPS, list_name
from jobs.connect import RedisClient
from jobs.queries import Queries
from jobs.registry import Registry
from jobs.states import Kind, Status

WORKER_COUNTERS = {
    "jobs": "Jobs claimed",
    "units": "Sentences or chunks that went through the engine",
    "failed_units": "Units that failed by themselves",
    "batches": "Batches run",
    "engine_busy_seconds": "Seconds in which the engine ran",
    "recovered": "Jobs taken back from dead workers",
    "resent": "Jobs whose message was lost and sent again",
    "out_of_memory": "Batches that did not fit into memory",
}
WORKER_GAUGES = {
    "jobs_in_hand": "Jobs being worked on",
    "mean_batch_rows": "Units of a batch, on average",
    "padding_ratio": "Share of what was computed that is padding",
    "units_waiting": "Units that wait for the engine",
    "unit_wait_seconds": "Mean wait of a unit for the engine",
    "memory_bytes": "Resident memory",
    "load_seconds": "Time to load the model",
    "warmup_seconds": "Time to warm up",
}


class LedgerCollector(Collector):
    """One scrape: some hundred short Redis calls in three pipelines."""

    def __init__(self, queries: Queries, registry: Registry, redis: RedisClient) -> None:
        self._queries = queries
        self._registry = registry
        self._redis = redis

    def describe(self) -> Iterable[Metric]:
        """See `Collector.describe`; nothing is known before a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all figures; only `voxqueue_redis_up 0` while Redis is away."""
        up = GaugeMetricFamily("voxqueue_redis_up", "Whether Redis answers")
        try:
            found = [*self._jobs(), *self._queues(), *self._workers()]
            up.add_metric([], 1)
        except RedisError:
            found = []
            up.add_metric([], 0)
        yield up
        yield from found

    def _jobs(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "voxqueue_jobs", "Jobs without a parent, until they expire", labels=["kind", "status"]
        )
        for kind in Kind:
            for status in Status:
                family.add_metric([kind.value, status.value], self._queries.count(kind=kind, status=status))
        yield family

    def _queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("voxqueue_queue_jobs", "Deliveries that wait", labels=["queue", "step"])
        messages = GaugeMetricFamily("voxqueue_broker_messages", "Messages in the broker's lists", labels=["queue"])
        for queue in QUEUES:
            by_step = self._queries.waiting(queue)
            for step in STEPS:
                waiting.add_metric([queue, str(step)], by_step.get(step, 0))
            with self._redis.pipeline(transaction=False) as pipe:
                for step in STEPS:
                    pipe.llen(list_name(queue, step))
                messages.add_metric([queue], sum(pipe.execute()))
        yield waiting
        yield messages

    def _workers(self) -> Iterator[Metric]:
        reports = self._registry.workers()
        up = GaugeMetricFamily("voxqueue_worker_up", "A live worker", labels=["worker", "kind", "device", "engine"])
        for report in reports:
            up.add_metric([str(report.get(name) or "") for name in ("name", "kind", "device", "engine")], 1)
        yield up
        for kind, names in ((CounterMetricFamily, WORKER_COUNTERS), (GaugeMetricFamily, WORKER_GAUGES)):
            for name, help_text in names.items():
                family = kind(f"voxqueue_worker_{name}", help_text, labels=["worker", "kind"])
                for report in reports:
                    if isinstance(report.get(name), (int, float)):
                        family.add_metric([str(report["name"]), str(report.get("kind"))], report[name])
                yield family
