"""`GET /v1/jobs/ID/inputs/NAME`: an uploaded recording, to be heard beside its transcript."""

from __future__ import annotations

from flask import Blueprint, Response

from app.routes.files import sent
from app.routes.jobs import own_job
from jobs.errors import NotFound

blueprint = Blueprint("inputs", __name__)
HEARD = ("audio/", "video/")
"""Other uploads (books, archives) are not given back: nobody needs them, and a browser might do something with them."""


@blueprint.get("/v1/jobs/<job_id>/inputs/<path:name>")
def heard(job_id: str, name: str) -> Response:
    """Send the recording that a job transcribes: whole, a range of it, or 304 if the client has it."""
    job = own_job(job_id)
    blob = next((blob for blob in job.inputs if blob.name == name and blob.media_type.startswith(HEARD)), None)
    if blob is None:
        raise NotFound("file_not_found", f"job {job.id} has no recording {name[:200]!r} among its inputs")
    return sent(job, blob)
