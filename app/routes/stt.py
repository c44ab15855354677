"""`POST /v1/stt`: transcribe a recording, uploaded or at a URL."""

from __future__ import annotations

from flask import Blueprint, Response

from app.bodies import is_json, json_body, validate, wrong_media_type
from app.forms import form_value
from app.limits import check_address, check_model, check_webhook
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import RECORDINGS, Wanted, is_multipart, new_job, receive, recording
from jobs.ids import new_id
from jobs.specs import STTSpec
from jobs.states import Kind

blueprint = Blueprint("stt", __name__)
MOST_CHARS = 10_000
"""Of a request without a file: prompts and hotwords."""


@blueprint.post("/v1/stt")
def transcribe() -> Response:
    """Take a recording in as a job."""
    if is_multipart():
        return _uploaded()
    if is_json():
        return _at_url()
    raise wrong_media_type("multipart/form-data with a `file`", "application/json with a `url`")


def _uploaded() -> Response:
    with new_job() as job_id:
        form = receive(job_id, {"file": Wanted(recording, RECORDINGS, default_name="recording")})
        spec = validate(STTSpec, form_value(STTSpec, form.fields))
        files = form.files["file"]
        named = next((name for name in ("url", "store") if getattr(spec, name) is not None), None)
        if files and named:
            raise Refusal.of_field(named, "is given beside a file; send one of them")
        if not files and not named:
            raise Refusal.of_field("file", "is required: an audio or video file, or a `url`")
        _check(spec)
        return accept(Intake(job_id, Kind.STT, spec, files))


def _at_url() -> Response:
    spec = validate(STTSpec, json_body(MOST_CHARS))
    if spec.url is None and spec.store is None:
        raise Refusal.of_field("url", "is required in JSON; send a recording as the multipart field `file`")
    _check(spec)
    return accept(Intake(new_id(), Kind.STT, spec))


def _check(spec: STTSpec) -> None:
    check_model(spec)
    check_webhook(spec)
    if spec.url is not None:
        check_address(spec.url, "url")
    if spec.store is not None and not services().settings.inputs:
        raise Refusal.of_field("store", "this server has no area of recordings (VOXQUEUE_INPUTS); upload the file")
