"""The job as clients see it: the `Job` object of the HTTP API."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from jobs.queries import Queries
from jobs.record import Job, rfc3339
from jobs.states import Kind, Phase, Status

HIDDEN_INPUT = {"metadata", "webhook"}
BROKEN = {Status.FAILED, Status.CANCELED}


def input_view(job: Job) -> dict[str, Any]:
    """Return the request as it was understood; long texts are cut."""
    shown = {name: value for name, value in job.spec.items() if name not in HIDDEN_INPUT and value is not None}
    text = shown.get("text")
    if isinstance(text, str) and len(text) > 1000:
        shown |= {"text": text[:1000], "text_truncated": True}
    if job.inputs:
        shown["files"] = [{"name": blob.name, "bytes": blob.bytes} for blob in job.inputs if not blob.is_hidden]
    return shown


def output_view(job: Job) -> dict[str, Any] | None:
    """Return the result with root-relative URLs, None before there is one."""
    if not job.output:
        return None
    files = [
        {
            "name": blob.name,
            "media_type": blob.media_type,
            "bytes": blob.bytes,
            "url": f"/v1/jobs/{job.id}/files/{quote(blob.name)}",
        }
        for blob in job.output_files
        if not blob.is_hidden
    ]
    return {**job.output, "files": files}


def metrics_view(job: Job, now: float) -> dict[str, Any]:
    """Return `{queued_seconds, running_seconds, audio_seconds, realtime_factor}`."""
    running = job.running_seconds + (now - job.begun if job.begun is not None and not job.finished else 0)
    elapsed = (job.finished or now) - job.created - job.idle_seconds
    audio = job.output.get("duration_seconds")
    return {
        "queued_seconds": round(max(0.0, elapsed - running), 3),
        "running_seconds": round(max(0.0, running), 3),
        "audio_seconds": audio,
        "realtime_factor": round(running / audio, 4) if audio and job.finished else None,
    }


def job_view(job: Job, queries: Queries | None = None, *, now: float | None = None) -> dict[str, Any]:
    """Return the job of the HTTP contract. With `queries`, its queue position and its children's counts too."""
    [view] = job_views([job], queries, now=now)
    return view


def job_views(jobs: Sequence[Job], queries: Queries | None = None, *, now: float | None = None) -> list[dict[str, Any]]:
    """Return jobs as `job_view` does; the parents of all of them are asked for at once."""
    waiting = _waiting_parents(jobs, queries) if queries is not None else set()
    now = now if now is not None else time.time()
    return [_view(job, queries, now, can_retry=_can_retry(job, waiting)) for job in jobs]


def _waiting_parents(jobs: Sequence[Job], queries: Queries) -> set[str]:
    """Return the parents that still wait for their children, of those with broken ones among `jobs`."""
    parents = {job.parent for job in jobs if job.parent and job.status in BROKEN}
    if not parents:
        return set()
    found = queries.get_many(sorted(parents))
    return {parent.id for parent in found if not parent.status.is_terminal and parent.phase is not Phase.ASSEMBLING}


def _can_retry(job: Job, waiting: set[str]) -> bool:
    """Whether the ledger would retry it, as its `retry` says; a parent that runs is offered it in advance."""
    if job.parent and job.parent not in waiting:
        return False
    return job.status in BROKEN or job.kind.is_parent


def _view(job: Job, queries: Queries | None, now: float, *, can_retry: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "id": job.id,
        "kind": job.kind.value,
        "status": job.status.value,
        "progress": {"done": job.done, "total": job.total, "unit": job.unit},
        "created_at": rfc3339(job.created),
        "started_at": rfc3339(job.started),
        "finished_at": rfc3339(job.finished),
        "expires_at": rfc3339(job.expires),
        "attempt": job.attempt,
        "input": input_view(job),
        "metadata": job.metadata,
        "output": output_view(job),
        "error": job.error,
        "metrics": metrics_view(job, now),
        "links": _links(job, can_retry=can_retry),
    }
    if job.parent:
        view["parent"] = job.parent
    if queries is not None and job.status is Status.QUEUED:
        view["queue_position"] = queries.queue_position(job)
    if queries is not None and job.kind.is_parent:
        counts = queries.count_children(job.id)
        view["children"] = counts
        if job.kind is not Kind.AUDIOBOOK:  # a book counts its sentences
            ended = counts["succeeded"] + counts["failed"] + counts["canceled"]
            view["progress"] = {"done": ended, "total": counts["total"], "unit": job.unit}
    return view


def _links(job: Job, *, can_retry: bool) -> dict[str, str]:
    base = f"/v1/jobs/{job.id}"
    links = {"self": base, "events": f"{base}/events"}
    if not job.status.is_terminal:
        links["cancel"] = f"{base}/cancel"
    if can_retry:
        links["retry"] = f"{base}/retry"
    if job.kind in {Kind.TTS, Kind.CHAPTER}:
        links["stream"] = f"{base}/stream"
    if job.kind.is_parent:
        links["children"] = f"/v1/jobs?parent={job.id}"
    return links
