"""`/v1/jobs`: look at jobs, list them, cancel, retry and delete them."""

from __future__ import annotations

import logging
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from app.access import identity
from app.bodies import validate
from app.forms import query_value
from app.problems import Refusal
from app.services import services
from jobs.errors import Conflict, NotFound, StoreError
from jobs.events import wait_until_terminal
from jobs.queries import MAX_PAGE, Page
from jobs.record import Job
from jobs.specs import Strict
from jobs.states import Kind, Status
from jobs.view import job_view, job_views

blueprint = Blueprint("jobs", __name__)
log = logging.getLogger(__name__)
LONGEST_WAIT = 60


class JobQuery(Strict):
    """The query of `GET /v1/jobs/ID`."""

    wait: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 0
    """Seconds to wait for the job's end."""


class ListQuery(Strict):
    """The query of `GET /v1/jobs`."""

    status: Status | None = None
    """Only jobs with this status."""
    kind: Kind | None = None
    """Only jobs of this kind."""
    parent: str | None = None
    """The children of this job, in order; without it, jobs that are nobody's child, newest first."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 50
    """Jobs of one page."""
    after: str | None = None
    """`next` of the page before."""
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Only the job that was submitted with this Idempotency-Key, to see whether a submit came through."""


def own_job(job_id: str) -> Job:
    """Return a job of the one who asks. Raises `NotFound`."""
    return services().queries.get(job_id, identity().sees)


def shown(job: Job, status: int = 200) -> Response:
    """Return a job as a response; `Retry-After` says when to look again."""
    response = jsonify(job_view(job, services().queries))
    response.status_code = status
    if not job.status.is_terminal:
        response.headers["Retry-After"] = "1"
    return response


@blueprint.get("/v1/jobs/<job_id>")
def show(job_id: str) -> Response:
    """Show a job; with `?wait=`, as soon as it has ended."""
    query = validate(JobQuery, query_value(JobQuery))
    if not query.wait:
        return shown(own_job(job_id))
    services().announcements.start()
    return shown(wait_until_terminal(services().queries, services().announcements, job_id, query.wait, identity().sees))


@blueprint.get("/v1/jobs")
def list_jobs() -> Response:
    """List jobs, a page at a time."""
    query = validate(ListQuery, query_value(ListQuery))
    page = _page(query)
    return jsonify(
        {
            "data": job_views(page.jobs, services().queries),
            "has_more": page.next is not None,
            "next": page.next,
        }
    )


def _page(query: ListQuery) -> Page:
    queries, sees = services().queries, identity().sees
    if query.idempotency_key is not None:
        found = queries.submitted_with(query.idempotency_key, identity().owner)
        return Page([found] if found else [], None)
    if query.after is not None:
        try:
            queries.get(query.after, sees)
        except NotFound as error:
            raise Refusal.of_field("after", "that job does not exist any more; begin the list anew") from error
    if query.parent is None:
        return queries.page(owner=sees, kind=query.kind, status=query.status, after=query.after, limit=query.limit)
    if query.kind is not None:
        raise Refusal.of_field("kind", "cannot be combined with `parent`; leave one out")
    queries.get(query.parent, sees)
    return queries.children(query.parent, status=query.status, after=query.after, limit=query.limit)


@blueprint.post("/v1/jobs/<job_id>/cancel")
def cancel(job_id: str) -> Response:
    """Cancel a job: at once if it waits, at its next unit if it runs."""
    if (status := own_job(job_id).status).is_terminal:
        raise Conflict("wrong_state", f"the job is {status} already")
    services().broker.send(services().ledger.cancel(job_id))
    job = own_job(job_id)
    return shown(job, 200 if job.status.is_terminal else 202)


@blueprint.post("/v1/jobs/<job_id>/retry")
def retry(job_id: str) -> Response:
    """Queue a failed or canceled job again, or a parent's broken children."""
    job = own_job(job_id)
    if job.parent and services().queries.get(job.parent).status.is_terminal:
        raise Conflict("is_child", f"its parent has ended; retry the parent {job.parent}")
    services().ledger.retry(job_id, services().broker.send)
    return shown(own_job(job_id), 202)


@blueprint.delete("/v1/jobs/<job_id>")
def delete(job_id: str) -> Response:
    """Erase a job and its files; a running one loses its worker."""
    own_job(job_id)
    services().ledger.delete(job_id)
    services().kept.forget(job_id)
    try:
        services().store.remove_job(job_id)  # the sweeper looks again, for what a worker was just writing
    except StoreError as error:  # the record is gone, and that is what was asked for
        log.warning("job %s is deleted, its files are not (%s); the sweeper removes them", job_id, error.detail)
    return Response(status=204)
