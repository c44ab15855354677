"""From a validated request to a job in the ledger and a message at the broker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response, jsonify, request

from app.access import identity
from app.problems import RETRY_SECONDS, Refusal
from app.services import services
from app.turnstile import TooBusy
from jobs import tracing
from jobs.broker import QUEUE_OF
from jobs.ledger import Limits, NewJob, Submitted
from jobs.load import load_of
from jobs.logs import now_about
from jobs.record import Blob
from jobs.specs import JobOptions
from jobs.states import Kind, Phase
from jobs.view import job_view

LONGEST_KEY = 255
UNITS = {
    Kind.TTS: "sentence",
    Kind.STT: "second",
    Kind.AUDIOBOOK: "sentence",
    Kind.TRANSCRIPTS: "file",
    Kind.BATCH: "line",
}
SUMMED = frozenset({Kind.AUDIOBOOK})
"""Parents whose progress is the sum of their children's; the others count children."""


@dataclass(frozen=True)
class Intake:
    """A job that is asked for: valid, its inputs in the store under `job_id`."""

    job_id: str
    kind: Kind
    spec: JobOptions
    inputs: Sequence[Blob] = ()
    total: int = 0
    files: Sequence[Blob] = ()
    """All that was uploaded, where `inputs` names only some of many."""


def submit(intake: Intake) -> Submitted:
    """Write the job down and send it. An earlier job with the same `Idempotency-Key` is answered instead.

    Raises `QueueFull`, `Conflict`, redis-py's errors, and `Refusal` 503 if too many come at once.
    """
    settings = services().settings
    spec_json = intake.spec.model_dump_json()
    new = NewJob(
        id=intake.job_id,
        kind=intake.kind,
        queue=QUEUE_OF[intake.kind],
        priority=intake.spec.priority.step,
        owner=identity().owner,
        spec=spec_json,
        inputs=intake.inputs,
        metadata=intake.spec.metadata,
        webhook=str(intake.spec.webhook.url) if intake.spec.webhook else "",
        phase=Phase.PLANNING if intake.kind.is_parent else Phase.NONE,
        unit=UNITS[intake.kind],
        total=intake.total,
        **load_of(intake.kind, getattr(intake.spec, "text", None), intake.files or intake.inputs)._asdict(),
        sums=intake.kind in SUMMED,
        timeout_seconds=intake.spec.timeout_seconds or settings.default_timeout_seconds or None,
        ttl_seconds=settings.ttl_seconds,
        idempotency_key=idempotency_key(),
        fingerprint=fingerprint(intake.kind, spec_json, intake.inputs),
    )
    try:
        now_about(intake.job_id)
        traced = tracing.submitted(intake.job_id, _caller_trace(), **{"voxqueue.kind": intake.kind.value})
        with traced, services().turnstile:
            submitted = services().ledger.submit(
                new,
                limits=Limits(settings.max_waiting, settings.max_waiting_characters, settings.max_waiting_seconds),
                owner_limits=identity().limits,
                show=not intake.kind.is_parent,
            )
            if submitted.delivery is not None:
                services().broker.send([submitted.delivery])
    except TooBusy as error:
        headers = {"Retry-After": str(RETRY_SECONDS)}
        detail = f"more submits come than can be written down; nothing was taken in, try again in {RETRY_SECONDS} s"
        raise Refusal(503, "busy", detail, headers=headers) from error
    if not submitted.created:
        services().store.remove_job(intake.job_id)
    return submitted


def _caller_trace() -> dict[str, str]:
    """Return the headers of a trace that the request belongs to."""
    return {name: request.headers[name] for name in ("traceparent", "tracestate") if name in request.headers}


def accept(intake: Intake) -> Response:
    """Submit the job and answer 202 with it, or 200 with the earlier job of the same `Idempotency-Key`."""
    submitted = submit(intake)
    response = jsonify(_view(submitted))
    response.status_code = 202 if submitted.created else 200
    response.headers["Location"] = f"/v1/jobs/{submitted.id}"
    if submitted.created:
        response.headers["Retry-After"] = "1"
    else:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _view(submitted: Submitted) -> dict[str, Any]:
    if submitted.job is None:
        return job_view(services().queries.get(submitted.id), services().queries)
    return {**job_view(submitted.job), "queue_position": submitted.queue_position}


def idempotency_key() -> str:
    """Return the request's key, empty if it has none."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise Refusal.of_field(
            "Idempotency-Key", f"must have at most {LONGEST_KEY} printable characters", LONGEST_KEY, status=400
        )
    return key


def fingerprint(kind: Kind, spec_json: str, inputs: Sequence[Blob]) -> str:
    """Return a hash of what was asked for: equal requests have equal ones, names and bytes of files included."""
    asked = [kind.value, json.loads(spec_json), [[blob.name, blob.key] for blob in inputs]]
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
