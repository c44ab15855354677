"""`GET /v1/jobs/ID/stream`: the sound of a job, from its first finished sentence on."""

from __future__ import annotations

import itertools

from flask import Blueprint, Response

from app.access import identity
from app.playing import Playing, sound_of
from app.problems import Refusal
from app.routes.files import sent
from app.routes.jobs import own_job
from app.services import services
from app.waiting import Caller
from jobs.record import Job
from jobs.states import Kind

blueprint = Blueprint("stream", __name__)


@blueprint.get("/v1/jobs/<job_id>/stream")
def stream(job_id: str) -> Response:
    """Send the sound while it is made; what cannot grow is sent when it is done."""
    job = own_job(job_id)
    if job.kind not in {Kind.TTS, Kind.CHAPTER}:
        raise Refusal(409, "no_sound", f"a job of the kind {job.kind} has no sound of its own; its children may")
    playing = Playing(services(), identity().sees, job)
    if job.status.is_terminal or not playing.grows:
        return _whole(job)
    services().announcements.start()
    sound = playing.sound()
    first = [next(sound, b"")]
    if playing.job.spec["format"] == "wav":
        first.append(next(sound, b""))  # beyond the header: a job that fails before is answered with a problem
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Response(itertools.chain(first, sound), content_type=playing.media_type, headers=headers)


def _whole(job: Job) -> Response:
    ended = job if job.status.is_terminal else Caller.of_request().until_end(job.id)
    if ended.output_files:
        return sent(ended, sound_of(ended))
    reason = ended.error["detail"] if ended.error else f"the job is {ended.status}"
    raise Refusal(409, "no_sound", f"job {ended.id} has no sound: {reason}")
