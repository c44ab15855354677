"""`POST /v1/batches`: one line, one clip.

A bad line fails by itself when the batch runs; a file without a single good line is refused here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flask import Blueprint, Response, request
from pydantic import ValidationError

from app import bodies
from app.bodies import parse_json, validate, wrong_media_type
from app.forms import form_value
from app.limits import check_webhook
from app.problems import Refusal
from app.services import services
from app.submit import Intake, accept
from app.uploads import Wanted, is_multipart, new_job, receive, text
from app.validation import explain
from jobs.record import Blob
from jobs.specs import BatchLine, BatchSpec
from jobs.states import Kind

blueprint = Blueprint("batches", __name__)
LINES = {
    "application/jsonl",
    "application/jsonlines",
    "application/json-lines",
    "application/x-jsonlines",
    "application/x-ndjson",
    "application/ndjson",
    "application/json",
    "application/octet-stream",
    "text/plain",
}
INPUT_FILE = "batch.jsonl"
LONGEST_LINE = 1024**2


@blueprint.post("/v1/batches")
def run_batch() -> Response:
    """Take a file of lines in as a job."""
    with new_job() as job_id:
        if is_multipart():
            form = receive(job_id, {"file": Wanted(text, "JSON lines (.jsonl)", default_name=INPUT_FILE)})
            spec = validate(BatchSpec, form_value(BatchSpec, form.fields))
            if not form.files["file"]:
                raise Refusal.of_field("file", "is required: JSON lines, each with custom_id and tts or stt")
            lines = form.files["file"][0]
        elif bodies.media_type() in LINES:
            spec = validate(BatchSpec, form_value(BatchSpec, request.args.to_dict(flat=False)))
            lines = _stored(job_id)
        else:
            raise wrong_media_type("application/jsonl", "multipart/form-data with a `file`")
        check_webhook(spec)
        return accept(Intake(job_id, Kind.BATCH, spec, [lines], total=_count(job_id, lines)))


def _stored(job_id: str) -> Blob:
    body = bodies.chunks(services().settings.max_upload_bytes)
    return services().store.put(job_id, body, name=INPUT_FILE, media_type="application/jsonl")


def _count(job_id: str, blob: Blob) -> int:
    """Return how many lines there are. Raises `Refusal` for none, too many, or if not one can be run."""
    most = services().settings.max_children
    count, refused, good = 0, "", False
    for number, line in _lines(job_id, blob):
        count += 1
        if count > most:
            raise Refusal.of_field("file", f"has more than {most} lines (VOXQUEUE_MAX_CHILDREN); split it", most)
        if not good:
            wrong = _wrong(line)
            good = wrong is None
            refused = refused or f"line {number}: {wrong}"
    if not count:
        raise Refusal.of_field("file", "holds no line; send JSON lines, each with custom_id and tts or stt")
    if not good:
        raise Refusal.of_field("file", f"not one line can be run; {refused}")
    return count


def _lines(job_id: str, blob: Blob) -> Iterator[tuple[int, bytes]]:
    with services().store.open(job_id, blob) as file:
        lines: Iterable[bytes] = iter(lambda: file.readline(LONGEST_LINE), b"")
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line


def _wrong(line: bytes) -> str | None:
    """Return why a line cannot be run, None if it can."""
    try:
        BatchLine.model_validate(parse_json(line))
    except Refusal as refusal:
        return refusal.detail
    except ValidationError as error:
        return "; ".join(f"{wrong.field}: {wrong.detail}" for wrong in explain(error, BatchLine)[:3])
    return None
