"""`voxqueue batch`: a file of many small tasks into a folder of clips, through any interruption."""

from __future__ import annotations

import hashlib
import json
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED, pass_options
from app.cli.results import announce, common, exit_if_some_failed, finish, submit_options
from jobs.states import Status

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), help="A folder [the file's name].")
@click.option("--reuse", is_flag=True, default=None, help="Take kept results of identical work, where the server may.")
@click.option("--fresh", is_flag=True, help="A new job, also if this file was submitted before.")
@submit_options
@pass_options
@click.pass_context
def batch(
    context: click.Context,
    options: Options,
    /,
    file: Path,
    output: Path | None,
    *,
    reuse: bool | None,
    fresh: bool,
    no_wait: bool,
    **fields: Any,
) -> None:
    """Run many small tasks: FILE is a .jsonl or a .csv with custom_id, text or url, and any option, a line for each.

    Run again with the same file, it goes on with the job of the last time, and tries once more what failed. The clips,
    named by their custom_id, and results.jsonl, in the order of the lines, are saved in the folder.
    """
    request = {**common(**fields), "reuse": reuse}
    folder = output or Path(file.stem)
    with options.client() as client:
        job = _submitted(client, file, request, fresh=fresh)
        if no_wait:
            announce(options, [job])
            return
        good = finish(client, options, [job])
        failed = sum(_saved(client, ended, folder) for ended in good)
    if good and not options.as_json:
        click.echo(folder / "results.jsonl")
    if failed:
        click.echo(f"voxqueue: {failed} lines have no result; see results.jsonl", err=True)
        context.exit(FAILED)
    exit_if_some_failed(context, [job], good)


def _submitted(client: Client, file: Path, request: dict[str, Any], *, fresh: bool) -> JobObject:
    """Return the job of an earlier run with this file and these options, broken lines queued again; or a new one."""
    salt = uuid.uuid4().hex if fresh else ""
    with file.open("rb") as content:
        asked = [hashlib.file_digest(content, "sha256").hexdigest(), file.name, request, salt]
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    job = next(client.jobs(idempotency_key=key), None)
    if job is None:
        return client.batch(file, idempotency_key=key, **request)
    click.echo(f"voxqueue: going on with job {job.id}", err=True)
    broken = job.children is not None and job.children.failed + job.children.canceled > 0
    if job.status in {Status.FAILED, Status.CANCELED} or (job.status.is_terminal and broken):
        return client.retry(job.id)
    return job


def _saved(client: Client, job: JobObject, folder: Path) -> int:
    """Save the results and the clips; returns how many lines have failed."""
    files = {file.name: file for file in job.output.files} if job.output else {}
    archive = client.download(files["results.zip"], folder)
    with zipfile.ZipFile(archive) as clips:
        clips.extractall(folder)  # leads nowhere else, whatever its members are called
    archive.unlink()
    with client.download(files["results.jsonl"], folder).open(encoding="utf-8") as lines:
        return sum(json.loads(line)["status"] != Status.SUCCEEDED for line in lines)
