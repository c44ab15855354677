"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, jsonify

from app.bodies import validate, wrong_media_type
from app.forms import form_value
from app.openai.aliases import model_of
from app.openai.languages import language_name
from app.openai.specs import TRANSCRIPT_FILES, TranscriptionRequest, TranslationRequest
from app.openai.streams import Event, event_stream
from app.problems import Refusal
from app.services import Services, services
from app.submit import Intake, submit
from app.uploads import RECORDINGS, Wanted, is_multipart, new_job, receive, recording
from app.waiting import LOOK_SECONDS, Caller, succeeded
from jobs.errors import NotFound
from jobs.events import follow
from jobs.record import Job
from jobs.states import Kind

blueprint = Blueprint("openai_transcripts", __name__)
TEXT_TYPES = {"text": "text/plain", "srt": "text/plain", "vtt": "text/vtt"}
PHRASE = re.compile(r"[^。！？!?.\n]*[。！？!?.\n]*\s*")
"""What one event of a streamed transcript holds."""


@blueprint.post("/v1/audio/transcriptions")
def transcribe() -> Response:
    """Transcribe a recording and answer with the text."""
    return _answered(TranscriptionRequest)


@blueprint.post("/v1/audio/translations")
def translate() -> Response:
    """Transcribe a recording into English and answer with the text."""
    return _answered(TranslationRequest)


def _answered(model: type[TranslationRequest]) -> Response:
    if not is_multipart():
        raise wrong_media_type("multipart/form-data with a `file`")
    caller = Caller.of_request()
    with new_job() as job_id:
        form = receive(job_id, {"file": Wanted(recording, RECORDINGS, default_name="recording")})
        fields = {name.removesuffix("[]"): values for name, values in form.fields.items()}
        asked = validate(model, form_value(model, fields))
        if not form.files["file"]:
            raise Refusal.of_field("file", f"is required: {RECORDINGS}")
        spec = asked.spec(model_of(asked.model))
        submitted = submit(Intake(job_id, Kind.STT, spec, form.files["file"]))
    if asked.streamed:
        return event_stream(caller, submitted.id, _deltas(caller, submitted.id))
    return _answer(asked, caller.wait(submitted.id))


def _answer(asked: TranslationRequest, job: Job) -> Response:
    content = file_text(services(), job, TRANSCRIPT_FILES[asked.response_format])
    if asked.response_format in TEXT_TYPES:
        return Response(content, content_type=f"{TEXT_TYPES[asked.response_format]}; charset=utf-8")
    if asked.response_format == "json":
        return jsonify({"text": _text(services(), job), "usage": _usage(job)})
    return jsonify(_verbose(asked, json.loads(content)))


def file_text(found: Services, job: Job, ending: str) -> str:
    """Return the text file of a result that has this ending."""
    blob = next((file for file in job.output_files if file.name.endswith(f".{ending}")), None)
    if blob is None:
        raise Refusal(500, "no_transcript", f"job {job.id} has no .{ending} file")
    with found.store.open(job.id, blob) as file:
        return file.read().decode("utf-8")


def _text(found: Services, job: Job) -> str:
    text = job.output.get("text")
    return text if isinstance(text, str) else file_text(found, job, "txt").rstrip("\n")


def _usage(job: Job) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(job.output.get("duration_seconds") or 0)}


def _verbose(asked: TranslationRequest, document: dict[str, Any]) -> dict[str, Any]:
    """Return our JSON transcript as OpenAI's: the name of the language, and only the wanted granularities."""
    shown = {**document, "language": language_name(document["language"])}
    if isinstance(asked, TranscriptionRequest):
        if "segment" not in asked.timestamp_granularities:
            shown.pop("segments", None)
        if not asked.has_words:
            shown.pop("words", None)
    else:
        shown["language"] = "english"
    return shown


def _deltas(caller: Caller, job_id: str) -> Iterator[Event | None]:
    """Yield the words as chunks of the recording are heard, in order; None while none is."""
    found, told, job = caller.services, "", None
    said = _Said(found, job_id)
    for seen in follow(found.queries, found.announcements, job_id, owner=caller.owner, recheck=LOOK_SECONDS):
        job = seen or job
        if job is not None and job.status.is_terminal:
            break
        yield None
        for text in said.news():
            told += text
            yield {"type": "transcript.text.delta", "delta": text}
    if job is None or not job.status.is_terminal:
        raise NotFound("job_not_found", f"job {job_id} was deleted")
    text = _text(found, succeeded(job))
    for phrase in PHRASE.findall(text.removeprefix(told) if text.startswith(told) else ""):
        if phrase:
            yield {"type": "transcript.text.delta", "delta": phrase}
    yield {"type": "transcript.text.done", "text": text, "usage": _usage(job)}


class _Said:
    """The words that the journal of a running job tells, by their place in the text."""

    def __init__(self, found: Services, job_id: str) -> None:
        self._ledger = found.ledger
        self._job_id = job_id
        self._seen: set[str] = set()
        self._parts: dict[int, str] = {}
        self._at = 0

    def news(self) -> Iterator[str]:
        """Yield what was not told yet and follows what was."""
        for name in self._ledger.unit_names(self._job_id) - self._seen:
            self._seen.add(name)
            unit = self._ledger.unit(self._job_id, name)
            if unit is not None and (said := unit.get("said")) is not None:
                self._parts[said["at"]] = said["text"]
        while text := self._parts.pop(self._at, ""):
            self._at += len(text)
            yield text
