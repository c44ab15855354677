"""`POST /v1/transcripts`: transcribe many recordings."""

from __future__ import annotations

from flask import Blueprint, Response

from app.bodies import validate, wrong_media_type
from app.forms import form_value
from app.limits import check_model, check_webhook
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import RECORDINGS, Wanted, is_multipart, new_job, one_of_many, receive
from jobs.specs import TranscriptsSpec
from jobs.states import Kind

blueprint = Blueprint("transcripts", __name__)


@blueprint.post("/v1/transcripts")
def transcribe_many() -> Response:
    """Take many recordings in as a job."""
    if not is_multipart():
        raise wrong_media_type("multipart/form-data with `files`")
    most = services().settings.max_children
    wanted = {"files": Wanted(one_of_many, f"{RECORDINGS}, or a .zip of them", most, "recording")}
    with new_job() as job_id:
        form = receive(job_id, wanted)
        spec = validate(TranscriptsSpec, form_value(TranscriptsSpec, form.fields))
        files = form.files["files"]
        if not files:
            raise Refusal.of_field("files", f"is required: {RECORDINGS}, or a .zip of them; the field may repeat")
        check_model(spec)
        check_webhook(spec)
        return accept(Intake(job_id, Kind.TRANSCRIPTS, spec, files, total=len(files)))
