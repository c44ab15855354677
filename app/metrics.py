"""The figures of the stack for Prometheus, read from the ledger and from the workers' reports at each scrape.

They are the same from every web process, so several of them do no harm; ask one. `python -m app.metrics` prints the
table of docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import RedisError

from jobs.broker import QUEUES
from jobs.connect import RedisClient
from jobs.figures import Buckets, Figures, Picture, buckets
from jobs.registry import Registry
from jobs.states import Kind

JOB_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
"""As in jobs/ledger.lua."""
UNIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Both as in workers/stats.py."""
ENGINES = ("tts", "stt")


@dataclass(frozen=True)
class Family:
    """One metric: its name without `_total`, its type, its labels, what it says."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str

    @property
    def full_name(self) -> str:
        """As it is queried."""
        return f"{self.name}_total" if self.type == "counter" else self.name

    def empty(self) -> Any:
        """Return a family to add samples to."""
        kinds = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily, "histogram": HistogramMetricFamily}
        return kinds[self.type](self.name, self.help, labels=self.labels)


def _gauge(name: str, labels: str, text: str) -> Family:
    return Family(f"voxqueue_{name}", "gauge", tuple(labels.split()), text)


def _counter(name: str, labels: str, text: str) -> Family:
    return Family(f"voxqueue_{name}", "counter", tuple(labels.split()), text)


def _histogram(name: str, labels: str, text: str) -> Family:
    return Family(f"voxqueue_{name}", "histogram", tuple(labels.split()), text)


UP = _gauge("redis_up", "", "Whether Redis answers; without it there is nothing else")
JOBS = _gauge("jobs", "kind status", "Jobs without a parent, until they expire")
ENDED = _counter("jobs_ended", "kind status", "Jobs that ended, children too")
ERRORS = _counter("job_errors", "kind code", "Jobs that failed, by the `type` of their error")
WAIT = _histogram("job_wait_seconds", "kind", "From the submit to the first start of jobs that ended")
RUN = _histogram("job_run_seconds", "kind", "Time under `running` of jobs that ended, all attempts together")
AUDIO = _counter("audio_seconds", "kind", "Audio spoken or transcribed by jobs that succeeded")
CHARACTERS = _counter("characters", "kind", "Characters spoken by jobs that succeeded")
QUEUE = _gauge("queue_jobs", "queue step", "Deliveries that wait, by priority step (0 goes first)")
MESSAGES = _gauge("broker_messages", "queue", "Messages in the broker's lists; more than `queue_jobs`: stale copies")
OPEN_CHARACTERS = _gauge("open_characters", "", "Characters of jobs that have not ended")
OPEN_AUDIO = _gauge("open_audio_seconds", "", "Audio of jobs to transcribe that have not ended")
BACKLOG = _gauge(
    "queue_backlog_seconds", "queue", "Time in which one worker's engine would do the jobs that have not ended"
)
HOLDS = _gauge("held_jobs", "what", "Jobs put aside by an operator's hold; a series for each hold")
FACTOR = _gauge("realtime_factor", "queue", "Engine seconds for a second of audio, over all that was ever done")
FROM_ENGINES: Mapping[str, Family] = {
    "units": _counter("units", "queue", "Sentences or chunks that went through an engine"),
    "failed_units": _counter("unit_failures", "queue", "Units that failed by themselves"),
    "batches": _counter("batches", "queue", "Batches that were run"),
    "cost": _counter("batch_cost", "queue", "Frames (tts) or chunks (stt) that were computed, padding included"),
    "padding": _counter("batch_padding", "queue", "What of `batch_cost` was padding"),
    "busy": _counter("engine_busy_seconds", "queue", "Time in which an engine ran a batch"),
    "out_of_memory": _counter("out_of_memory", "queue", "Batches that did not fit into memory"),
    "loads": _counter("model_loads", "queue", "Loads of a model, also after an idle unload"),
    "loading": _counter("model_load_seconds", "queue", "Time that loads of models took"),
}
BATCH_UNITS = _histogram("batch_units", "queue", "Units of a batch")
UNIT_WAIT = _histogram("unit_wait_seconds", "queue", "Wait of a unit for its batch")
RECOVERED = _counter("recoveries", "", "Jobs taken back from workers that died")
RESENT = _counter("resent", "", "Jobs whose message was lost and sent again")
ORPHANS = _counter("orphans", "", "Folders of files that belonged to no job and were removed")
WITHOUT_FILES = _counter("jobs_without_files", "", "Jobs that had succeeded and lost their files")
WORKER_UP = _gauge("worker_up", "worker kind device engine", "A live worker, and what it runs on")
FROM_WORKERS: Mapping[str, Family] = {
    "jobs": _counter("worker_jobs", "worker kind", "Jobs claimed since the worker's start"),
    "units": _counter("worker_units", "worker kind", "Units since the worker's start"),
    "batches": _counter("worker_batches", "worker kind", "Batches since the worker's start"),
    "engine_busy_seconds": _counter("worker_engine_busy_seconds", "worker kind", "Engine time since the start"),
    "jobs_in_hand": _gauge("worker_jobs_in_hand", "worker kind", "Jobs being worked on"),
    "mean_batch_rows": _gauge("worker_mean_batch_rows", "worker kind", "Units of a batch, mean since the start"),
    "padding_ratio": _gauge("worker_padding_ratio", "worker kind", "Padded share of what was computed since the start"),
    "units_waiting": _gauge("worker_units_waiting", "worker kind", "Units that wait for the engine"),
    "memory_bytes": _gauge("worker_memory_bytes", "worker kind", "Resident memory"),
    "load_seconds": _gauge("worker_load_seconds", "worker kind", "Time of the first load of the model"),
    "warmup_seconds": _gauge("worker_warmup_seconds", "worker kind", "Time of the warm-up"),
    "gpu_memory_used_bytes": _gauge("gpu_memory_used_bytes", "worker kind", "Of the worker's GPU, all processes"),
    "gpu_memory_total_bytes": _gauge("gpu_memory_total_bytes", "worker kind", "Of the worker's GPU"),
    "gpu_utilization_ratio": _gauge("gpu_utilization_ratio", "worker kind", "Share of time in which the GPU ran"),
}
OF_SWEEPERS = (
    (RECOVERED, "recovered"),
    (RESENT, "resent"),
    (ORPHANS, "orphans"),
    (WITHOUT_FILES, "without_files"),
)
FAMILIES: tuple[Family, ...] = (
    UP, JOBS, ENDED, ERRORS, WAIT, RUN, AUDIO, CHARACTERS, QUEUE, MESSAGES, OPEN_CHARACTERS, OPEN_AUDIO, BACKLOG, HOLDS,
    FACTOR, *FROM_ENGINES.values(), BATCH_UNITS, UNIT_WAIT, RECOVERED, RESENT, ORPHANS, WITHOUT_FILES,
    WORKER_UP, *FROM_WORKERS.values(),
)  # fmt: skip


def table() -> str:
    """Return the metrics as a table in Markdown."""
    rows = [f"| `{one.full_name}` | {one.type} | {', '.join(one.labels)} | {one.help} |" for one in FAMILIES]
    return "\n".join(["| metric | type | labels | what |", "| --- | --- | --- | --- |", *rows])


class LedgerCollector(Collector):
    """One scrape: four round trips, whatever the number of jobs."""

    def __init__(self, registry: Registry, redis: RedisClient) -> None:
        self._registry = registry
        self._figures = Figures(redis)

    def describe(self) -> Iterable[Metric]:
        """See `Collector.describe`; nothing is known before a scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all figures; only `voxqueue_redis_up 0` while Redis is away."""
        up = UP.empty()
        try:
            picture, reports = self._figures.picture(), self._registry.workers()
        except RedisError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _of_jobs(picture)
        yield from _of_queues(picture)
        yield from _of_engines(picture)
        yield from _of_workers(reports)


def _filled(family: Family, samples: Iterable[tuple[Iterable[object], float]]) -> Metric:
    found = family.empty()
    for labels, value in samples:
        found.add_metric([str(label) for label in labels], value)
    metric: Metric = found
    return metric


def _histograms(family: Family, samples: Iterable[tuple[str, Buckets]]) -> Metric:
    found = family.empty()
    for label, histogram in samples:
        found.add_metric([label], histogram.counts, histogram.sum)
    metric: Metric = found
    return metric


def _of_jobs(picture: Picture) -> Iterator[Metric]:
    yield _filled(JOBS, picture.jobs.items())
    for family, prefix in ((ENDED, "ended:"), (ERRORS, "error:")):
        yield _filled(
            family,
            (
                ((kind, name.removeprefix(prefix)), value)
                for kind, sums in picture.ended.items()
                for name, value in sorted(sums.items())
                if name.startswith(prefix)
            ),
        )
    for family, name in ((WAIT, "wait"), (RUN, "run")):
        yield _histograms(family, ((kind.value, buckets(picture.ended[kind], name, JOB_SECONDS)) for kind in Kind))
    speaking, all_ = (Kind.TTS, Kind.CHAPTER), (Kind.TTS, Kind.CHAPTER, Kind.STT)
    yield _filled(AUDIO, (((kind,), picture.ended[kind].get("audio", 0)) for kind in all_))
    yield _filled(CHARACTERS, (((kind,), picture.ended[kind].get("characters", 0)) for kind in speaking))


def _of_queues(picture: Picture) -> Iterator[Metric]:
    yield _filled(QUEUE, picture.waiting.items())
    yield _filled(MESSAGES, (((queue,), count) for queue, count in picture.messages.items()))
    yield _filled(OPEN_CHARACTERS, [((), picture.characters)])
    yield _filled(OPEN_AUDIO, [((), picture.audio_seconds)])
    yield _filled(BACKLOG, (((queue,), picture.backlog_seconds(queue)) for queue in ENGINES))
    yield _filled(HOLDS, (((what,), count) for what, count in picture.held.items()))


def _of_engines(picture: Picture) -> Iterator[Metric]:
    factors = ((queue, picture.realtime_factor(queue)) for queue in ENGINES)
    yield _filled(FACTOR, (((queue,), factor) for queue, factor in factors if factor is not None))
    for name, family in FROM_ENGINES.items():
        yield _filled(family, (((queue,), picture.engines[queue].get(name, 0)) for queue in ENGINES))
    for family, name, bounds in ((BATCH_UNITS, "rows", ROWS), (UNIT_WAIT, "unit_wait", UNIT_SECONDS)):
        yield _histograms(family, ((queue, buckets(picture.engines[queue], name, bounds)) for queue in ENGINES))
    for family, name in OF_SWEEPERS:
        yield _filled(family, [((), sum(picture.engines[queue].get(name, 0) for queue in QUEUES))])


def _of_workers(reports: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    reports = list(reports)
    yield _filled(WORKER_UP, (([report.get(name) or "" for name in WORKER_LABELS], 1) for report in reports))
    for name, family in FROM_WORKERS.items():
        yield _filled(
            family,
            (
                ((report["name"], report.get("kind")), report[name])
                for report in reports
                if isinstance(report.get(name), (int, float))
            ),
        )


WORKER_LABELS = ("name", "kind", "device", "engine")

if __name__ == "__main__":
    print(table())  # noqa: T201 - for docs/metrics.md
