"""`voxqueue jobs`, `show`, `watch`, `cancel`, `retry`, `delete`, `fetch`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli import known
from app.cli.context import REFUSED, pass_options
from app.cli.results import exit_if_some_failed, finish, save
from jobs.states import Kind, Status

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject


def of_jobs(*statuses: str) -> Callable[..., Any]:
    """Return the argument for IDs of jobs; the shell offers those of these statuses, or all."""
    return click.argument("ids", nargs=-1, required=True, metavar="ID...", shell_complete=known.jobs(*statuses))


@click.command()
@click.option("--status", type=click.Choice([status.value for status in Status]))
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]))
@click.option("--parent", metavar="ID", help="The children of a job.")
@click.option("--limit", "-n", type=click.IntRange(min=1), default=20, show_default=True)
@pass_options
def jobs(options: Options, status: str | None, kind: str | None, parent: str | None, limit: int) -> None:
    """List jobs, newest first."""
    with options.client() as client:
        found = client.jobs(status=status, kind=kind, parent=parent, limit=min(limit, 200))
        listed = list(itertools.islice(found, limit))
    if options.as_json:
        for job in listed:
            options.print(job)
    else:
        _table(listed)


def _table(listed: list[JobObject]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("id", "kind", "status", "progress", "created", "seconds", "about"):
        table.add_column(name, no_wrap=name == "id")
    for job in listed:
        done, total = job.progress.done, job.progress.total
        table.add_row(
            job.id,
            str(job.kind),
            str(job.status),
            f"{done}/{total} {job.progress.unit}" if total else "",
            f"{job.created_at:%m-%d %H:%M:%S}",
            f"{job.metrics.running_seconds:.1f}",
            job.error.detail if job.error else _about(job),
        )
    Console().print(table)


def _about(job: JobObject) -> str:
    files = job.input.get("files") or []
    text = str(job.input.get("text") or (files[0]["name"] if files else "") or job.input.get("url") or "")
    return " ".join(text.split())[:40]


@click.command()
@of_jobs()
@pass_options
def show(options: Options, ids: tuple[str, ...]) -> None:
    """Show jobs, all that is known."""
    with options.client() as client:
        for job_id in ids:
            job = client.job(job_id)
            click.echo(job.model_dump_json(exclude_none=True, indent=None if options.as_json else 2))


@click.command()
@of_jobs("queued", "running")
@pass_options
@click.pass_context
def watch(context: click.Context, options: Options, ids: tuple[str, ...]) -> None:
    """Follow jobs until they have ended."""
    with options.client() as client:
        found = [client.job(job_id) for job_id in ids]
        exit_if_some_failed(context, found, finish(client, options, found))


@click.command()
@of_jobs("queued", "running")
@pass_options
def cancel(options: Options, ids: tuple[str, ...]) -> None:
    """Cancel jobs: at once if they wait, soon if they run."""
    _with_each(options, ids, lambda client, job_id: _tell(options, client.cancel(job_id)))


@click.command()
@of_jobs("failed", "canceled", "succeeded")
@pass_options
def retry(options: Options, ids: tuple[str, ...]) -> None:
    """Queue failed or canceled jobs again; what was finished is kept."""
    _with_each(options, ids, lambda client, job_id: _tell(options, client.retry(job_id)))


@click.command()
@of_jobs()
@pass_options
def delete(options: Options, ids: tuple[str, ...]) -> None:
    """Erase jobs with their files."""
    _with_each(options, ids, lambda client, job_id: client.delete(job_id))


def _with_each(options: Options, ids: tuple[str, ...], act: Callable[[Client, str], None]) -> None:
    """Do something with each job; what is refused keeps nothing of the others from being done."""
    from app.client import ApiError

    refused = False
    with options.client() as client:
        for job_id in ids:
            try:
                act(client, job_id)
            except ApiError as error:
                click.echo(f"voxqueue: {job_id}: {error.detail}", err=True)
                refused = True
    if refused:
        sys.exit(REFUSED)


def _tell(options: Options, job: JobObject) -> None:
    if options.as_json:
        options.print(job)
    else:
        click.echo(f"{job.id} {job.status}")


@click.command()
@of_jobs("queued", "running", "succeeded")
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), help="A folder [the job's ID].")
@pass_options
@click.pass_context
def fetch(context: click.Context, options: Options, ids: tuple[str, ...], output: Path | None) -> None:
    """Save the files of jobs, once they have ended."""
    with options.client() as client:
        found = [client.job(job_id) for job_id in ids]
        good = finish(client, options, found)
        for job in good:
            folder = output / job.id if output and len(found) > 1 else output or Path(job.id)
            save(client, options, job, folder, folder)
        exit_if_some_failed(context, found, good)
