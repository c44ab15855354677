"""`POST /v1/audio/speech`."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from flask import Blueprint, Response

from app.bodies import json_body, validate
from app.limits import check_text, check_voice
from app.openai.aliases import voice_of
from app.openai.specs import SpeechRequest
from app.openai.streams import Event, event_stream
from app.playing import sound_of
from app.routes.files import sent
from app.services import Services, services
from app.submit import Intake, submit
from app.waiting import Caller
from jobs.ids import new_id
from jobs.record import Job
from jobs.states import Kind

blueprint = Blueprint("openai_speech", __name__)
EVENT_BYTES = 48 * 1024
"""Of audio in one event; a multiple of 3, so that the parts of base 64 join without padding between."""


@blueprint.post("/v1/audio/speech")
def speak() -> Response:
    """Speak a text and answer with the audio."""
    asked = validate(SpeechRequest, json_body(services().settings.max_text_chars))
    check_text(asked.input, "input")
    named = asked.voice if isinstance(asked.voice, str) or asked.voice is None else asked.voice.id
    spec = asked.spec(voice_of(asked.model, named))
    check_voice(spec)
    caller = Caller.of_request()
    job_id = submit(Intake(new_id(), Kind.TTS, spec)).id
    if asked.stream_format == "sse":
        found = services()
        return event_stream(caller, job_id, lambda job: _deltas(found, job))
    job = caller.wait(job_id)
    return sent(job, sound_of(job))


def _deltas(found: Services, job: Job) -> Iterator[Event]:
    with found.store.open(job.id, sound_of(job)) as file:
        while chunk := file.read(EVENT_BYTES):
            yield {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode("ascii")}
    usage = {"input_tokens": len(job.spec["text"]), "output_tokens": 0, "total_tokens": len(job.spec["text"])}
    yield {"type": "speech.audio.done", "usage": usage}
