"""The batch scheduler notes its batches in the traces of the jobs whose units were in them."""

import pytest

from jobs import tracing
from jobs.ids import new_id

sdk = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    reason="no opentelemetry-sdk: TRACES ARE NOT TESTED; pip install -r requirements-dev.txt",
)


def test_a_batch_is_in_the_trace_of_each_of_its_jobs(dummy_engine, scheduler_of):
    exporter = sdk.InMemorySpanExporter()
    tracing.start("test", exporter)
    try:
        scheduler = scheduler_of(dummy_engine(), start=False)
        jobs = [new_id(), new_id()]
        futures = [scheduler.submit(5, job=job, priority=0) for job in (*jobs, jobs[0])]
        scheduler.start()
        assert [future.result(30) for future in futures] == [-5, -5, -5]
        assert scheduler.stop(drain=True, timeout=30)
        spans = exporter.get_finished_spans()
    finally:
        tracing.stop()
    assert {(span.attributes["voxqueue.job"], span.attributes["batch.own_rows"]) for span in spans} == {
        (jobs[0], 2),
        (jobs[1], 1),
    }
