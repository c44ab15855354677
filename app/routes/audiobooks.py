"""`POST /v1/audiobooks`: speak a book, uploaded or given as chapters."""

from __future__ import annotations

import json

from flask import Blueprint, Response

from app.bodies import is_json, json_body, validate, wrong_media_type
from app.forms import form_value
from app.limits import check_text_total, check_voice, check_webhook
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import Wanted, book, is_multipart, new_job, picture, receive
from jobs.record import Blob
from jobs.specs import AudiobookSpec, ChapterText, VoiceOptions
from jobs.states import Kind

blueprint = Blueprint("audiobooks", __name__)
MOST_COVER_BYTES = 20 * 1024**2
CHAPTERS_FILE = "chapters.json"


@blueprint.post("/v1/audiobooks")
def speak_book() -> Response:
    """Take a book in as a job."""
    if is_multipart():
        return _uploaded()
    if is_json():
        return _as_chapters()
    raise wrong_media_type("multipart/form-data with a `file`", "application/json with `chapters`")


def _uploaded() -> Response:
    wanted = {
        "file": Wanted(book, "a book as .epub, .txt or .md", default_name="book"),
        "cover": Wanted(picture, "a JPEG or PNG picture", default_name="cover", max_bytes=MOST_COVER_BYTES),
    }
    with new_job() as job_id:
        form = receive(job_id, wanted)
        spec = validate(AudiobookSpec, form_value(AudiobookSpec, form.fields))
        inputs = [*form.files["file"], *form.files["cover"]]
        if form.files["file"] and spec.chapters is not None:
            raise Refusal.of_field("chapters", "is given beside a file; send one of them")
        if spec.chapters is not None:
            inputs = [_stored(job_id, spec.chapters), *inputs]
        elif not form.files["file"]:
            raise Refusal.of_field("file", "is required: a book as .epub, .txt or .md, or `chapters`")
        return _accepted(job_id, spec, inputs)


def _as_chapters() -> Response:
    spec = validate(AudiobookSpec, json_body(services().settings.max_book_chars))
    if spec.chapters is None:
        raise Refusal.of_field("chapters", "is required in JSON; send a book as the multipart field `file`")
    with new_job() as job_id:
        return _accepted(job_id, spec, [_stored(job_id, spec.chapters)])


def _stored(job_id: str, chapters: list[ChapterText]) -> Blob:
    """Put the chapters beside the other books, as a file: the ledger's records must stay small."""
    limit = services().settings.max_children
    if len(chapters) > limit:
        raise Refusal.of_field("chapters", f"has {len(chapters)} chapters; at most {limit} are allowed", limit)
    check_text_total([chapter.text for chapter in chapters], "chapters")
    data = json.dumps([chapter.model_dump() for chapter in chapters], ensure_ascii=False).encode()
    return services().store.put(job_id, data, name=CHAPTERS_FILE, media_type="application/json")


def _accepted(job_id: str, spec: AudiobookSpec, inputs: list[Blob]) -> Response:
    check_voice(spec)
    check_voice(VoiceOptions(voice=spec.dialogue_voice), "dialogue_")
    for chapters, voice in spec.chapter_voices.items():
        check_voice(VoiceOptions(voice=voice, emotion=spec.emotion), f"chapter_voices.{chapters}.")
    check_webhook(spec)
    return accept(Intake(job_id, Kind.AUDIOBOOK, spec.model_copy(update={"chapters": None}), inputs))
