"""A submit over HTTP begins the trace of its job, and belongs to the caller's."""

import pytest

from jobs import tracing

sdk = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    reason="no opentelemetry-sdk: TRACES ARE NOT TESTED; pip install -r requirements-dev.txt",
)


def test_a_trace_goes_from_the_request_to_the_batch(client, services):
    exporter = sdk.InMemorySpanExporter()
    tracing.start("test", exporter)
    try:
        caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        job_id = client.post("/v1/tts", json={"text": "你好。"}, headers={"traceparent": caller}).json["id"]
        with tracing.running(job_id, "tts"):
            tracing.batched([job_id], 0.1)
        submit, batch, run = exporter.get_finished_spans()
    finally:
        tracing.stop()
    assert (submit.name, submit.attributes["voxqueue.job"], submit.attributes["voxqueue.kind"]) == (
        "submit",
        job_id,
        "tts",
    )
    assert f"{submit.links[0].context.trace_id:032x}" == caller[3:35]
    assert {span.context.trace_id for span in (submit, batch, run)} == {submit.context.trace_id}
