"""`POST /v1/audio/speech`."""

from __future__ import annotations

import base64
import contextlib
import itertools
from collections.abc import Iterator

from flask import Blueprint, Response

from app.bodies import json_body, validate
from app.limits import check_text, check_voice
from app.openai.aliases import voice_of
from app.openai.specs import SpeechRequest
from app.openai.streams import HEADERS, Event, event_stream
from app.playing import UNKNOWN_RATE, Playing, sound_of, voice_rate
from app.routes.files import sent
from app.services import services
from app.submit import Intake, submit
from app.waiting import Caller, succeeded
from jobs.ids import new_id
from jobs.specs import TTSSpec
from jobs.states import Kind, Status

blueprint = Blueprint("openai_speech", __name__)
EVENT_BYTES = 48 * 1024
"""Of audio in one event at most; a multiple of 3, so that the parts of base 64 join without padding between."""


@blueprint.post("/v1/audio/speech")
def speak() -> Response:
    """Speak a text and answer with the audio, sentence by sentence as it is spoken."""
    asked = validate(SpeechRequest, json_body(services().settings.max_text_chars))
    check_text(asked.input, "input")
    named = asked.voice if isinstance(asked.voice, str) or asked.voice is None else asked.voice.id
    spec = asked.spec(voice_of(asked.model, named))
    check_voice(spec)
    caller = Caller.of_request()
    job_id = submit(Intake(new_id(), Kind.TTS, spec)).id
    playing = _playing(caller, job_id, spec)
    if asked.stream_format == "sse":
        return event_stream(caller, job_id, _events(playing, caller, len(spec.text)))
    if voice_rate(services(), spec.voice) is None:  # no worker has told it: only the finished file is certain
        job = caller.wait(job_id)
        return sent(job, sound_of(job))
    return _audio(playing, caller)


def _playing(caller: Caller, job_id: str, spec: TTSSpec) -> Playing:
    rate = voice_rate(caller.services, spec.voice) or UNKNOWN_RATE
    job = caller.services.queries.get(job_id, caller.owner)
    return Playing(
        caller.services,
        caller.owner,
        job,
        spec.format,
        rate,
        spec.sample_rate or rate,
        refuse=succeeded,
        is_there=caller.is_there,
    )


def _audio(playing: Playing, caller: Caller) -> Response:
    sound = playing.sound()
    try:
        opening = next(sound, b"")  # a job that fails before is answered with an error
    except BaseException:
        caller.cancel(playing.job.id)
        raise
    answer = Response(itertools.chain([opening], sound), content_type=playing.media_type, headers=HEADERS)
    answer.call_on_close(sound.close)
    answer.call_on_close(lambda: caller.cancel(playing.job.id))
    return answer


def _events(playing: Playing, caller: Caller, characters: int) -> Iterator[Event | None]:
    with contextlib.closing(caller.looks(playing.job.id)) as looks:
        for job in looks:  # in the queue; then the sound itself tells of its job
            if job.status is not Status.QUEUED:
                break
            yield None
    held = b""
    with contextlib.closing(playing.sound()) as sound:
        for chunk in sound:
            held += chunk
            while len(held) >= 3:
                portion = held[: min(EVENT_BYTES, len(held) - len(held) % 3)]
                held = held[len(portion) :]
                yield _delta(portion)
    if held:
        yield _delta(held)
    usage = {"input_tokens": characters, "output_tokens": 0, "total_tokens": characters}
    yield {"type": "speech.audio.done", "usage": usage}


def _delta(portion: bytes) -> Event:
    return {"type": "speech.audio.delta", "audio": base64.b64encode(portion).decode("ascii")}
