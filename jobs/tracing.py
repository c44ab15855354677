"""OpenTelemetry traces of jobs, if `VOXQUEUE_TRACES` asks for them; without it nothing is imported and nothing costs.

A job's trace is derived from its ID (128 bits both) and so is its first span, the submit. Nothing has to be carried
through the queue: a delivery sent again, a second attempt in another process and the children of a parent all find
their way into the trace of the submit. A caller's own trace (`traceparent`) is linked from it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jobs.ids import number_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

SPAN_BITS = (1 << 64) - 1
_provider: TracerProvider | None = None
_first: ContextVar[str] = ContextVar("first", default="")
"""The job whose first span is being made."""


def start(service: str, exporter: SpanExporter | None = None) -> None:
    """Begin to trace in this process. `exporter`: by default OTLP over HTTP, as the `OTEL_*` variables say.

    Raises `RuntimeError` with the cure if OpenTelemetry is not installed.
    """
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        if exporter is None:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            processor: Any = BatchSpanProcessor(OTLPSpanExporter())
        else:
            processor = SimpleSpanProcessor(exporter)
    except ImportError as error:
        cure = "VOXQUEUE_TRACES=otlp needs `pip install -r requirements-traces.txt`, or leave it empty"
        raise RuntimeError(f"{cure} ({error})") from error
    global _provider  # noqa: PLW0603 - one for each process
    _provider = TracerProvider(resource=Resource.create({"service.name": service}), id_generator=_ids())
    _provider.add_span_processor(processor)


def stop() -> None:
    """Send what was not sent, and trace no more."""
    global _provider  # noqa: PLW0603 - as above
    if _provider is not None:
        _provider.shutdown()
    _provider = None


@contextlib.contextmanager
def submitted(job_id: str, headers: Mapping[str, str], **attributes: Any) -> Iterator[None]:
    """Trace the submit of a job: the first span of its trace."""
    if _provider is None:
        yield
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    caller = get_current_span(TraceContextTextMapPropagator().extract(dict(headers))).get_span_context()
    token = _first.set(job_id)
    try:
        span = _tracer().start_span(
            "submit",
            context=Context(),
            kind=SpanKind.PRODUCER,
            attributes={"voxqueue.job": job_id, **attributes},
            links=[Link(caller)] if caller.is_valid else [],
        )
    finally:
        _first.reset(token)
    with _ended(span):
        yield


@contextlib.contextmanager
def running(job_id: str, name: str, **attributes: Any) -> Iterator[None]:
    """Trace an attempt at a job."""
    if _provider is None:
        yield
        return
    from opentelemetry.trace import SpanKind

    attributes = {"voxqueue.job": job_id, **attributes}
    span = _tracer().start_span(name, context=_context(job_id), kind=SpanKind.CONSUMER, attributes=attributes)
    with _ended(span):
        yield


def batched(job_ids: Sequence[str], seconds: float, **attributes: Any) -> None:
    """Note a batch that has just run, in the trace of every job that had a unit in it."""
    if _provider is None:
        return
    import time

    end = time.time_ns()
    for job_id in dict.fromkeys(job_ids):
        own: dict[str, Any] = {
            "voxqueue.job": job_id,
            "batch.rows": len(job_ids),
            "batch.own_rows": list(job_ids).count(job_id),
        }
        span = _tracer().start_span(
            "batch", context=_context(job_id), start_time=end - int(seconds * 1e9), attributes={**own, **attributes}
        )
        span.end(end)


def _tracer() -> Tracer:
    assert _provider is not None
    return _provider.get_tracer("voxqueue")


@contextlib.contextmanager
def _ended(span: Span) -> Iterator[None]:
    from opentelemetry.trace import Status, StatusCode

    try:
        yield
    except BaseException as error:
        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        raise
    finally:
        span.end()


def _context(job_id: str) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    trace_id, span_id = _ids_of(job_id)
    where = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return set_span_in_context(NonRecordingSpan(where), Context())


def _ids_of(job_id: str) -> tuple[int, int]:
    """Return the IDs of a job's trace and of its first span; a child's are its parent's."""
    number = number_of(job_id)
    return number, (number & SPAN_BITS) or 1


@functools.cache
def _ids() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Derived(RandomIdGenerator):
        """Gives a job's first span the IDs that are derived from the job's."""

        def generate_trace_id(self) -> int:
            return _ids_of(first)[0] if (first := _first.get()) else super().generate_trace_id()

        def generate_span_id(self) -> int:
            return _ids_of(first)[1] if (first := _first.get()) else super().generate_span_id()

    return Derived()
