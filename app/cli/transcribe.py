"""`voxqueue transcribe`: a heap of recordings into a folder of transcripts, through any interruption."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED, INTERRUPTED, pass_options
from app.cli.journal import SUMMARY
from app.cli.listen import hearing_fields, hearing_options
from app.cli.results import announce, finish, submit_options
from app.cli.resuming import submitted_once, unpacked
from app.names import printable
from jobs.states import Status

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.cli.heap import Heap, Recording
    from app.cli.journal import Row
    from app.client import Client, File, JobObject


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--manifest", "-m", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A .csv or .jsonl."
)
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), default=Path("transcripts"))
@click.option("--parallel", type=click.IntRange(1, 32), default=4, show_default=True, help="Uploads at once.")
@click.option("--fresh", is_flag=True, help="Do all anew, also what is done.")
@hearing_options
@submit_options
@pass_options
@click.pass_context
def transcribe(
    context: click.Context,
    options: Options,
    /,
    paths: tuple[Path, ...],
    manifest: Path | None,
    output: Path,
    *,
    parallel: int,
    fresh: bool,
    no_wait: bool,
    **fields: Any,
) -> None:
    """Transcribe many recordings: PATHS are files or folders of them; the result has the same folders.

    Interrupted, run it again: what is uploaded is not uploaded again, what is saved is left as it is, what failed is
    tried once more. summary.csv and summary.json say what became of each.

    A manifest has a line for each recording: url, store (a path in the server's area) or file (one of PATHS), name, and
    options of its own. With one, with .zip archives among PATHS, and with --no-wait, all is one job.
    """
    from app.cli.heap import collect

    request = hearing_fields(fields)
    with options.client() as client:
        recordings = collect(paths, output)
        if not recordings and manifest is None:
            raise click.UsageError("give files, folders that hold some, or a --manifest")
        archives = any(one.path.suffix.lower() == ".zip" for one in recordings)
        if no_wait or manifest or archives:
            job = _as_one(client, recordings, manifest, request, fresh=fresh)
            if no_wait:
                announce(options, [job])
                return
            failed = _finished(client, options, job, output)
        else:
            request["priority"] = request["priority"] or "bulk"
            failed = _each(client, options, recordings, output, request, parallel=parallel, fresh=fresh)
    if not options.as_json:
        click.echo(output / "summary.csv")
    if failed:
        click.echo(f"voxqueue: {failed} recordings have no transcript; see summary.csv", err=True)
        context.exit(FAILED)


def _as_one(
    client: Client, recordings: list[Recording], manifest: Path | None, request: dict[str, Any], *, fresh: bool
) -> JobObject:
    """Submit all as one job, or find the one of an earlier run."""
    files: list[File] = [(one.name, one.path) for one in recordings]
    submit = partial(client.transcripts, files, manifest=manifest, **request)
    hashed = [*([manifest] if manifest else []), *(one.path for one in recordings)]
    names = [one.name for one in recordings]
    return submitted_once(
        client, hashed, {**request, "names": names}, lambda key: submit(idempotency_key=key), fresh=fresh
    )


def _finished(client: Client, options: Options, job: JobObject, output: Path) -> int:
    """Wait for a job and unpack its result; returns how many recordings failed. A job without any ends the program."""
    if not finish(client, options, [job]):
        options.leave(FAILED, "there is no transcript at all")
    job = client.job(job.id)
    unpacked(client, job, "transcripts.zip", output)
    # Not the unpacked one: a recording may be called summary.wav.
    summary = next(file for file in job.output.files if file.name == SUMMARY) if job.output else None
    if summary is None:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        rows = json.loads(client.download(summary, folder).read_text("utf-8"))
    return sum(row["status"] != Status.SUCCEEDED for row in rows)


def _each(
    client: Client,
    options: Options,
    recordings: list[Recording],
    output: Path,
    request: dict[str, Any],
    **how: Any,
) -> int:
    """Do each recording as a job of its own and show how far they are; returns how many failed."""
    from app.cli.heap import Heap

    try:
        return _shown(options, Heap(client, output, request, **how), recordings)
    except KeyboardInterrupt:
        options.leave(INTERRUPTED, "interrupted; run the same command again to go on")
        raise


def _shown(options: Options, heap: Heap, recordings: list[Recording]) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=options.console) as progress:
        uploaded = progress.add_task("uploaded", total=len(recordings))
        done = progress.add_task("transcribed", total=len(recordings))
        console = Console(stderr=True) if options.quiet else progress.console  # what went wrong is told in any case
        say = partial(console.print, markup=False, highlight=False, soft_wrap=True)

        def tell(row: Row) -> None:
            nonlocal failed
            progress.advance(done)
            if options.as_json:
                click.echo(row.to_json())
            if row.status != "succeeded":
                failed += 1
                say(f"{printable(row.file)}: {row.error}", style="red")
            elif row.warnings:
                say(f"{printable(row.file)}: warning: {row.warnings}", style="yellow")

        heap.run(recordings, lambda: progress.advance(uploaded), tell)
    return failed
