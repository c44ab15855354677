"""`POST /v1/tts`: speak a text."""

from __future__ import annotations

from flask import Blueprint, Response

from app.bodies import json_body, validate
from app.limits import check_text, check_voice, check_webhook
from app.services import services
from app.submit import Intake, accept
from jobs.ids import new_id
from jobs.specs import TTSSpec
from jobs.states import Kind

blueprint = Blueprint("tts", __name__)


@blueprint.post("/v1/tts")
def speak() -> Response:
    """Take a text in as a job."""
    spec = validate(TTSSpec, json_body(services().settings.max_text_chars))
    check_text(spec.text)
    check_voice(spec)
    check_webhook(spec)
    return accept(Intake(new_id(), Kind.TTS, spec))
