"""One job for a whole file: found again when the command is run again, and its archive unpacked into a folder."""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.results import missing
from jobs.states import Status

if TYPE_CHECKING:
    from app.client import Client, JobObject


def submitted_once(
    client: Client, files: Iterable[Path], request: dict[str, Any], submit: Callable[[str], JobObject], *, fresh: bool
) -> JobObject:
    """Return the job that an earlier run made of these files and options, what broke queued again; or a new one.

    `submit` gets the Idempotency-Key: a hash of the files and the options.
    """
    asked: list[Any] = [request, uuid.uuid4().hex if fresh else ""]
    for path in files:
        with path.open("rb") as content:
            asked.append([path.name, hashlib.file_digest(content, "sha256").hexdigest()])
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    job = next(client.jobs(idempotency_key=key), None)
    if job is None:
        return submit(key)
    click.echo(f"voxqueue: going on with job {job.id}", err=True)
    if job.status in {Status.FAILED, Status.CANCELED} or (job.status.is_terminal and missing(job)):
        return client.retry(job.id)
    return job


def unpacked(client: Client, job: JobObject, archive: str, folder: Path) -> None:
    """Unpack a file of a result into a folder; each member appears there when it is whole."""
    file = next(file for file in job.output.files if file.name == archive) if job.output else None
    if file is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".") as aside:
        with zipfile.ZipFile(client.download(file, aside, name="archive")) as members:
            members.extractall(Path(aside) / "members")  # leads nowhere else, whatever its members are called
        for path in (Path(aside) / "members").rglob("*"):
            target = folder / path.relative_to(Path(aside) / "members")
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            else:
                path.replace(target)
