"""`GET /v1/jobs/ID/stream`: the sound of a job, from its first finished sentence on."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from flask import Blueprint, Response, request
from pydantic import Field

from app.access import identity
from app.bodies import validate
from app.forms import query_value
from app.playing import STREAMED, UNKNOWN_RATE, Playing, sound_of, voice_rate
from app.problems import Refusal
from app.routes.files import sent
from app.routes.jobs import own_job
from app.services import services
from app.waiting import Caller
from jobs.record import Job
from jobs.specs import Strict
from jobs.states import Kind

blueprint = Blueprint("stream", __name__)
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Accept-Ranges": "none"}


class StreamQuery(Strict):
    """The query of `GET /v1/jobs/ID/stream`."""

    format: Literal["wav", "pcm", "mp3", "opus", "aac", "flac"] | None = None
    """Default: the job's own."""
    start_seconds: Annotated[float, Field(ge=0, le=1_000_000)] = 0
    """Leave out so much: where a listener goes on whose line was cut."""


@blueprint.get("/v1/jobs/<job_id>/stream")
def stream(job_id: str) -> Response:
    """Send the sound while it is made; an M4A, which cannot grow, is sent when it is done."""
    job = own_job(job_id)
    asked = validate(StreamQuery, query_value(StreamQuery))
    if job.kind not in {Kind.TTS, Kind.CHAPTER}:
        raise Refusal(409, "no_sound", f"a job of the kind {job.kind} has no sound of its own; its children may")
    form = asked.format or job.spec["format"]
    rate = voice_rate(services(), job.spec.get("voice"))
    grows = form in STREAMED and (rate is not None or job.status.is_terminal)
    if not grows or (job.status.is_terminal and form == job.spec["format"] and not asked.start_seconds):
        return _whole(job, asked)
    _refuse_range()
    return _growing(job, form, rate or UNKNOWN_RATE, asked.start_seconds)


def _growing(job: Job, form: str, rate: int, start_seconds: float) -> Response:
    caller = Caller.of_request()
    out_rate = job.spec.get("sample_rate") or rate
    playing = Playing(
        caller.services, identity().sees, job, form, rate, out_rate, start_seconds, is_there=caller.is_there
    )
    sound = playing.sound()
    opening = next(sound, b"")  # a job that fails before is answered with a problem
    answer = Response(itertools.chain([opening], sound), content_type=playing.media_type, headers=HEADERS)
    answer.call_on_close(sound.close)
    return answer


def _refuse_range() -> None:
    wanted = request.headers.get("Range", "bytes=0-")
    if wanted.removeprefix("bytes=") != "0-":
        detail = "Range: a sound that is being made has no byte ranges; go on with ?start_seconds=, or without Range"
        raise Refusal(416, "range_not_satisfiable", detail)


def _whole(job: Job, asked: StreamQuery) -> Response:
    if asked.start_seconds or asked.format not in {None, job.spec["format"]}:
        form = asked.format or job.spec["format"]
        detail = "cannot be streamed" if form not in STREAMED else "cannot be streamed before a worker tells its voices"
        raise Refusal.of_field("format", f"{form} {detail}; it can be fetched when the job has ended")
    ended = job if job.status.is_terminal else Caller.of_request().until_end(job.id)
    if ended.output_files:
        return sent(ended, sound_of(ended))
    reason = ended.error["detail"] if ended.error else f"the job is {ended.status}"
    raise Refusal(409, "no_sound", f"job {ended.id} has no sound: {reason}")
