"""Traces: one for each job, from the request to the batch, whatever happens between."""

import sys

import pytest

from jobs import tracing
from jobs.ids import child_id, new_id

sdk = pytest.importorskip(
    "opentelemetry.sdk.trace.export.in_memory_span_exporter",
    reason="no opentelemetry-sdk: TRACES ARE NOT TESTED; pip install -r requirements-dev.txt",
)


@pytest.fixture
def spans():
    exporter = sdk.InMemorySpanExporter()
    tracing.start("test", exporter)
    yield exporter.get_finished_spans
    tracing.stop()


def test_a_jobs_submit_run_and_batches_are_one_trace(spans):
    job_id, other = new_id(), new_id()
    with tracing.submitted(job_id, {}, **{"voxqueue.kind": "tts"}):
        pass
    with tracing.running(job_id, "tts"):  # in a process of its own, which got nothing but the ID
        tracing.batched([job_id, other, job_id], 0.25)
    submit, own, others, run = spans()
    assert submit.parent is None
    assert {span.context.trace_id for span in (submit, own, run)} == {submit.context.trace_id}
    assert run.parent.span_id == own.parent.span_id == submit.context.span_id
    assert (own.name, own.attributes["batch.rows"], own.attributes["batch.own_rows"]) == ("batch", 3, 2)
    assert own.end_time - own.start_time == 250_000_000
    assert others.context.trace_id != submit.context.trace_id


def test_a_second_attempt_and_the_children_of_a_parent_belong_to_its_trace(spans):
    parent = new_id()
    with tracing.submitted(parent, {}):
        pass
    for job_id in (parent, parent, child_id(parent, 3)):
        with tracing.running(job_id, "chapter"):
            pass
    submit, *runs = spans()
    assert {(run.context.trace_id, run.parent.span_id) for run in runs} == {
        (submit.context.trace_id, submit.context.span_id)
    }
    assert runs[2].attributes["voxqueue.job"] == child_id(parent, 3)


def test_the_trace_of_the_caller_is_linked(spans):
    caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with tracing.submitted(new_id(), {"traceparent": caller}):
        pass
    [link] = spans()[0].links
    assert f"{link.context.trace_id:032x}" == caller[3:35]


def test_what_fails_is_marked(spans):
    with pytest.raises(ValueError, match="no"), tracing.running(new_id(), "tts"):
        raise ValueError("no")
    assert not spans()[0].status.is_ok


def test_without_the_setting_nothing_is_imported_and_nothing_is_traced():
    import subprocess

    program = (
        "import sys; from jobs import tracing\n"
        "with tracing.submitted('0' * 26, {}), tracing.running('0' * 26, 'tts'): tracing.batched(['0' * 26], 1)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(RuntimeError, match=r"requirements-traces\.txt"):
        tracing.start("test")
