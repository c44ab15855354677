"""Progress bars of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject


def follow(client: Client, options: Options, jobs: Iterable[JobObject]) -> list[JobObject]:
    """Show the jobs until all have ended; returns them as they ended, in their order."""
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    ended = []
    waiting = list(jobs)
    with Progress(*columns, console=options.console, transient=False) as progress:
        bars = [progress.add_task(_name(job), total=None, state=_state(job)) for job in waiting]
        for job, bar in zip(waiting, bars, strict=True):
            latest = job
            for latest in client.watch(job.id):
                done, total = latest.progress.done, latest.progress.total or None
                progress.update(bar, completed=done, total=total, state=_state(latest))
            if latest.status == "succeeded":
                progress.update(bar, completed=1, total=1)
            ended.append(latest)
    return ended


def _name(job: JobObject) -> str:
    files = job.input.get("files") or []
    text = str(files[0]["name"]) if files else str(job.input.get("text") or job.input.get("url") or job.id)
    shown = " ".join(text.split())
    return f"{job.kind} {shown[:30]}{'…' if len(shown) > 30 else ''}"


def _state(job: JobObject) -> str:
    if job.status == "queued":
        return f"queued, {job.queue_position} before it" if job.queue_position else "queued"
    if job.status == "running" and job.progress.total:
        return f"{job.progress.done}/{job.progress.total} {job.progress.unit}"
    return str(job.status)
