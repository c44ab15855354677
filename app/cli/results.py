"""What becomes of submitted jobs: their IDs, or their results on disk or on standard output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED
from app.cli.progress import follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.cli.context import Options
    from app.client import Client, JobObject


def submit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all submits have."""
    for option in (
        click.option("--no-wait", is_flag=True, help="Print the job's ID and go."),
        click.option("--priority", type=click.Choice(["interactive", "normal", "bulk"])),
        click.option("--timeout", "timeout_seconds", type=float, metavar="SECONDS", help="Deadline of the job."),
        click.option("--metadata", multiple=True, metavar="NAME=VALUE", help="Given back with the job."),
    ):
        command = option(command)
    return command


def common(priority: str | None, timeout_seconds: float | None, metadata: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of `submit_options` as fields of a request."""
    pairs = {}
    for pair in metadata:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--metadata")
        pairs[name] = value
    return {"priority": priority, "timeout_seconds": timeout_seconds, "metadata": pairs or None}


def announce(options: Options, jobs: list[JobObject]) -> None:
    """Print jobs that are not waited for."""
    for job in jobs:
        if options.as_json:
            options.print(job)
        else:
            click.echo(job.id)


def finish(client: Client, options: Options, jobs: list[JobObject]) -> list[JobObject]:
    """Wait for jobs, tell what failed and what was odd; returns those that succeeded. Some failed: exit code 1."""
    ended = follow(client, options, jobs)
    for job in ended:
        if options.as_json:
            options.print(job)
        if job.status != "succeeded":
            reason = job.error.detail if job.error else str(job.status)
            click.echo(f"voxqueue: job {job.id}: {reason}", err=True)
        for warning in job.output.warnings if job.output else []:
            click.echo(f"voxqueue: job {job.id}: warning: {warning.detail}", err=True)
    return [job for job in ended if job.status == "succeeded"]


def save(client: Client, options: Options, job: JobObject, output: Path | None, default: Path) -> None:
    """Save a job's files: `output` is a file for the first of them, a folder, or `-` for standard output."""
    files = job.output.files if job.output else []
    if str(output) == "-":
        with tempfile.TemporaryDirectory() as folder:
            for file in files[:1]:
                with client.download(file, folder).open("rb") as source:
                    shutil.copyfileobj(source, sys.stdout.buffer)
        return
    target = output or default
    if target.is_dir() or not target.suffix:
        saved = client.fetch(job, target)
    else:
        names = [target.name, *(target.with_suffix(Path(file.name).suffix).name for file in files[1:])]
        saved = [client.download(file, target.parent, name=name) for file, name in zip(files, names, strict=False)]
    if not options.as_json:
        for path in saved:
            click.echo(path)


def missing(job: JobObject) -> int:
    """Return how many children of a job have no result; it may succeed without them."""
    return job.children.failed + job.children.canceled if job.children else 0


def exit_if_some_failed(context: click.Context, jobs: list[JobObject], good: list[JobObject]) -> None:
    """End with 1 unless all jobs succeeded, with all their children."""
    if len(good) < len(jobs) or any(map(missing, good)):
        context.exit(FAILED)
