"""`POST /v1/batches`: one line, one clip.

A bad line fails by itself when the batch runs; a file without a single good line is refused here.
"""

from __future__ import annotations

from flask import Blueprint, Response

from app.bodies import validate, wrong_media_type
from app.forms import form_value, query_value
from app.limits import check_webhook
from app.linefiles import LINES, check_lines, lines_in_body
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import Wanted, is_multipart, lines, new_job, receive
from jobs.batch_lines import tasks
from jobs.record import Blob
from jobs.specs import BatchSpec
from jobs.states import Kind

blueprint = Blueprint("batches", __name__)
INPUT_FILE = "batch.jsonl"


@blueprint.post("/v1/batches")
def run_batch() -> Response:
    """Take a file of lines in as a job."""
    with new_job() as job_id:
        if is_multipart():
            form = receive(job_id, {"file": Wanted(lines, LINES, default_name=INPUT_FILE)})
            spec = validate(BatchSpec, form_value(BatchSpec, form.fields))
            if not form.files["file"]:
                raise Refusal.of_field("file", f"is required: {LINES}, each with custom_id and what to do")
            blob = form.files["file"][0]
        elif (given := lines_in_body(job_id, INPUT_FILE)) is not None:
            spec, blob = validate(BatchSpec, query_value(BatchSpec)), given
        else:
            raise wrong_media_type("application/jsonl", "text/csv", "multipart/form-data with a `file`")
        check_webhook(spec)
        return accept(Intake(job_id, Kind.BATCH, spec, [blob], total=_count(job_id, blob)))


def _count(job_id: str, blob: Blob) -> int:
    with services().store.open(job_id, blob) as file:
        found = tasks(file, blob.media_type, services().settings.max_text_chars)
        return check_lines("file", ((task.number, task.problem) for task in found))
