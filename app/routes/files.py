"""`GET /v1/jobs/ID/files/NAME`: the bytes of a result."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import IO

from flask import Blueprint, Response, request

from app.names import content_disposition
from app.routes.jobs import own_job
from app.services import services
from jobs.errors import NotFound
from jobs.record import Blob, Job

blueprint = Blueprint("files", __name__)
READ = 256 * 1024
ONE_RANGE = re.compile(r"bytes=(\d+-\d*|-\d+)")


@blueprint.get("/v1/jobs/<job_id>/files/<path:name>")
def download(job_id: str, name: str) -> Response:
    """Send a file of a job's result: whole, a range of it, or 304 if the client has it."""
    job = own_job(job_id)
    blob = next((file for file in job.output_files if file.name == name), None)
    if blob is None:
        known = ", ".join(file.name for file in job.output_files[:20]) or f"none (the job is {job.status})"
        raise NotFound("file_not_found", f"job {job.id} has no file {name[:200]!r}; it has {known}")
    return sent(job, blob)


def sent(job: Job, blob: Blob) -> Response:
    """Return a file of a job as the request wants it: whole, a range, or 304."""
    response = Response(_Reader(services().store.open(job.id, blob)), mimetype=blob.media_type, direct_passthrough=True)
    response.content_length = blob.bytes
    response.set_etag(blob.key)
    response.last_modified = dt.datetime.fromtimestamp(job.finished or job.created, tz=dt.UTC)
    response.headers["Content-Disposition"] = content_disposition(blob.name)
    # The name stays when a retried job has other bytes: clients ask each time, by the ETag.
    response.headers["Cache-Control"] = "private, no-cache"
    if not ONE_RANGE.fullmatch(request.headers.get("Range", "")):
        request.environ.pop("HTTP_RANGE", None)  # several ranges or nonsense: the whole file is a right answer
    response.make_conditional(request.environ, accept_ranges=True, complete_length=blob.bytes)
    return response


class _Reader:
    """A file in pieces; seekable, so that a range is not read up to."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return self._file.seekable()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if chunk := self._file.read(READ):
            return chunk
        raise StopIteration

    def close(self) -> None:
        """Close the file, also when the client has gone."""
        self._file.close()
