"""One job for a whole file: found again when the command is run again, and its archive unpacked into a folder."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import os
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.journal import SUMMARY, SUMMARY_TABLE, foreign_summaries
from app.cli.results import missing
from jobs.states import Status

if TYPE_CHECKING:
    from app.client import Client, JobObject

MOST_NAMED = 5
"""Files that a message names."""


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
    """Unpack a file of a result into a folder; each member appears there when it is whole.

    What is replaced is told. Raises `FileExistsError` at the end if a file is where a folder must be, or a folder where
    a file.
    """
    file = next(file for file in job.output.files if file.name == archive) if job.output else None
    if file is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    own = {SUMMARY, SUMMARY_TABLE} - {*foreign_summaries(folder)}
    replaced, kept_out = [], []
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".") as aside,
        zipfile.ZipFile(client.download(file, aside, name="archive")) as members,
    ):
        for member in members.infolist():
            if member.is_dir():
                continue
            with tempfile.TemporaryDirectory(dir=aside) as alone:
                whole = members.extract(member, alone)  # leads nowhere else, whatever its name
                name = os.path.relpath(whole, alone)
                try:
                    replaced += [name] if _put(Path(whole), folder / name) else []
                except (FileExistsError, NotADirectoryError, IsADirectoryError):
                    kept_out.append(name)
    if changed := [name for name in replaced if name not in own]:
        click.echo(f"voxqueue: replaced in {folder}, with other content than before: {_some(changed)}", err=True)
    if kept_out:
        why = f"a file or folder of {folder} is in the place of {_some(kept_out)}; move it, or change --output"
        raise FileExistsError(errno.EEXIST, why)


def _put(file: Path, target: Path) -> bool:
    """Move a file to its place; returns whether it has replaced one of other content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    other = target.is_file() and not filecmp.cmp(file, target, shallow=False)
    file.replace(target)
    return other


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{rest}"
