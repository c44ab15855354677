"""`POST /v1/transcripts`: transcribe many recordings, uploaded or named by a manifest."""

from __future__ import annotations

from dataclasses import replace

from flask import Blueprint, Response

from app.bodies import is_json, validate, wrong_media_type
from app.forms import form_value, query_value
from app.limits import check_model, check_webhook
from app.linefiles import LINES, check_lines, lines_in_body
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import RECORDINGS, Wanted, is_multipart, lines, new_job, one_of_many, receive
from jobs.listing import inputs_of
from jobs.manifests import MANIFEST, wanted
from jobs.record import Blob
from jobs.specs import TranscriptsSpec
from jobs.states import Kind

blueprint = Blueprint("transcripts", __name__)


@blueprint.post("/v1/transcripts")
def transcribe_many() -> Response:
    """Take many recordings in as a job."""
    with new_job() as job_id:
        if is_multipart():
            return _uploaded(job_id)
        manifest = None if is_json() else lines_in_body(job_id, MANIFEST)
        if manifest is None:
            raise wrong_media_type("multipart/form-data with `files`", "a manifest as application/jsonl or text/csv")
        return _accepted(job_id, validate(TranscriptsSpec, query_value(TranscriptsSpec)), [], [manifest])


def _uploaded(job_id: str) -> Response:
    most = services().settings.max_children
    form = receive(
        job_id,
        {
            "files": Wanted(one_of_many, f"{RECORDINGS}, or a .zip of them", most, "recording", folders=True),
            "manifest": Wanted(lines, LINES, default_name="manifest.jsonl"),
        },
    )
    spec = validate(TranscriptsSpec, form_value(TranscriptsSpec, form.fields))
    files, manifests = form.files["files"], form.files["manifest"]
    if not files and not manifests:
        raise Refusal.of_field("files", f"is required: {RECORDINGS}, or a .zip of them; the field may repeat")
    return _accepted(job_id, spec, files, [replace(manifest, name=MANIFEST) for manifest in manifests])


def _accepted(job_id: str, spec: TranscriptsSpec, files: list[Blob], manifests: list[Blob]) -> Response:
    check_model(spec)
    check_webhook(spec)
    lines = sum(_count(job_id, manifest) for manifest in manifests)
    inputs = [*inputs_of(services().store, job_id, files), *manifests]
    return accept(Intake(job_id, Kind.TRANSCRIPTS, spec, inputs, max(len(files), lines), [*files, *manifests]))


def _count(job_id: str, manifest: Blob) -> int:
    with services().store.open(job_id, manifest) as file:
        return check_lines("manifest", ((line.number, line.problem) for line in wanted(file, manifest.media_type)))
