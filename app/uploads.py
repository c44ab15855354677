"""Uploads: judged by their first bytes, named harmlessly, streamed into the store of the job that wants them."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flask import request
from redis import RedisError

from app import bodies
from app.multipart import Part, parts
from app.problems import Refusal
from app.services import services
from app.sniff import HEAD_BYTES, is_text, is_zip, media_type_of, what_is
from jobs.errors import StoreError
from jobs.files import TooLarge
from jobs.ids import new_id
from jobs.lines import CSV, CSV_ENDINGS, JSONL
from jobs.names import clean_name, clean_path
from jobs.record import Blob

FIELD_BYTES = 8 * 1024**2
"""Of all plain fields of a form together."""
MOST_FIELDS = 200

RECORDINGS = "an audio or video file (WAV, MP3, M4A, Ogg, FLAC, WebM, MP4, ...)"

Judge = Callable[[bytes, str], str | None]
"""Tells the media type of a file by its first bytes and its name, None if it is not what is wanted."""


@dataclass
class Form:
    """A multipart body: the texts of its fields, and its files as blobs in the store, in their order."""

    fields: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    files: dict[str, list[Blob]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True)
class Wanted:
    """A file field of a form."""

    judge: Judge
    what: str
    """What to send, for people."""
    most: int = 1
    default_name: str = "file"
    max_bytes: int | None = None
    folders: bool = False
    """Whether a name keeps its folders."""


def is_multipart() -> bool:
    """Whether the body is a form with files."""
    return bodies.media_type() == "multipart/form-data"


@contextlib.contextmanager
def new_job() -> Iterator[str]:
    """Give the ID of a job to be; what was stored under it is removed if the request is refused.

    When Redis fails, whether the job was written down is unknown: its files stay, and the sweeper removes them if no
    record wants them.
    """
    job_id = new_id()
    try:
        yield job_id
    except RedisError:
        raise
    except BaseException:
        with contextlib.suppress(StoreError):
            services().store.remove_job(job_id)
        raise


def recording(head: bytes, name: str) -> str | None:
    """Judge a recording."""
    return media_type_of(head, name)


def one_of_many(head: bytes, name: str) -> str | None:
    """Judge a file among many: an archive, a recording, or anything; what is no recording fails alone, later."""
    return "application/zip" if is_zip(head) else media_type_of(head, name) or "application/octet-stream"


def book(head: bytes, name: str) -> str | None:
    """Judge a book: EPUB by its archive, the others by being text."""
    if is_zip(head):
        named = name.lower().endswith(".epub") or b"application/epub+zip" in head[:128]
        return "application/epub+zip" if named else None
    if not is_text(head):
        return None
    return "text/markdown" if name.lower().endswith((".md", ".markdown")) else "text/plain"


def picture(head: bytes, _: str) -> str | None:
    """Judge a cover."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    return "image/png" if head.startswith(b"\x89PNG\r\n\x1a\n") else None


def lines(head: bytes, name: str) -> str | None:
    """Judge a file of lines: CSV by its name, else JSON lines."""
    if not is_text(head):
        return None
    return CSV if name.lower().endswith(CSV_ENDINGS) else JSONL


def receive(job_id: str, wanted: dict[str, Wanted]) -> Form:
    """Read a multipart body; its files are stored under `job_id`. Raises `Refusal`."""
    form = Form()
    boundary = request.mimetype_params.get("boundary")
    body = bodies.chunks(services().settings.max_upload_bytes, next(iter(wanted), "body"))
    left = FIELD_BYTES
    for part in parts(body, boundary, max_parts=MOST_FIELDS + sum(want.most for want in wanted.values())):
        if part.filename is None:
            if part.name in wanted:
                raise Refusal.of_field(part.name, 'must be a file: its part needs a `filename="..."`')
            text = _text(part, left)
            left -= len(text)
            form.fields[part.name].append(text)
        elif part.name not in wanted:
            raise Refusal.of_field(part.name, f"is not a file field of this request; known are {', '.join(wanted)}")
        elif len(form.files[part.name]) >= wanted[part.name].most:
            most = wanted[part.name].most
            raise Refusal.of_field(part.name, f"more than {most} files are given; send at most {most}", most)
        else:
            form.files[part.name].append(_store(job_id, part, wanted[part.name]))
    return form


def _text(part: Part, limit: int) -> str:
    data = bytearray()
    for chunk in part.chunks:
        data += chunk
        if len(data) > limit:
            raise Refusal.of_field(
                part.name, f"the fields have more than {FIELD_BYTES} bytes", FIELD_BYTES, status=413, code="too_large"
            )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal.of_field(part.name, "must be UTF-8") from error


def _store(job_id: str, part: Part, want: Wanted) -> Blob:
    head = bytearray()
    for chunk in part.chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    name = (clean_path if want.folders else clean_name)(part.filename or "", want.default_name)
    if not head and want.most == 1:  # one of many fails alone, later
        raise Refusal.of_field(part.name, f"{name} is empty; send a file with at least one byte")
    media_type = want.judge(bytes(head), name)
    if media_type is None:
        detail = f"{name} is {what_is(bytes(head))}; send {want.what}"
        raise Refusal.of_field(part.name, detail, status=415, code="not_media")
    content = itertools.chain([bytes(head)], part.chunks)
    try:
        return services().store.put(job_id, content, name=name, media_type=media_type, max_bytes=want.max_bytes)
    except TooLarge as error:
        raise bodies.too_large(part.name, error.max_bytes) from error
