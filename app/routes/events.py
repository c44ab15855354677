"""`GET /v1/jobs/ID/events`: a job's changes as server-sent events."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from flask import Blueprint, Response, request
from redis import RedisError

from app.access import identity
from app.routes.jobs import own_job
from app.services import Services, services
from jobs.errors import NotFound
from jobs.events import follow
from jobs.record import Job
from jobs.view import job_view

blueprint = Blueprint("events", __name__)
log = logging.getLogger(__name__)
RECONNECT_MS = 2000
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@blueprint.get("/v1/jobs/<job_id>/events")
def events(job_id: str) -> Response:
    """Stream a job's states until it has ended; `Last-Event-ID` continues a broken stream."""
    job, seen = own_job(job_id), _last_version()
    if job.status.is_terminal and job.version == seen:
        return Response(status=204)  # all is told: an EventSource comes back after an end, but not after this
    services().announcements.start()
    stream = _stream(services(), job_id, identity().sees, seen)
    return Response(stream, content_type="text/event-stream; charset=utf-8", headers=HEADERS)


def _last_version() -> int:
    given = request.headers.get("Last-Event-ID", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else -1


def _stream(found: Services, job_id: str, owner: str | None, version: int) -> Iterator[str]:
    yield f"retry: {RECONNECT_MS}\n\n"
    try:
        for job in follow(found.queries, found.announcements, job_id, owner=owner, version=version):
            yield _event(job, found) if job is not None else ": still here\n\n"
    except NotFound:
        return  # deleted
    except RedisError as error:
        log.warning("event stream of job %s: %s; the client comes back", job_id, error)


def _event(job: Job, found: Services) -> str:
    data = json.dumps(job_view(job, found.queries), ensure_ascii=False)
    return f"id: {job.version}\nevent: job\ndata: {data}\n\n"
