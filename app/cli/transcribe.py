"""`voxqueue transcribe`: a heap of recordings into a folder of transcripts, through any interruption."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED, pass_options
from app.cli.listen import hearing_fields, hearing_options
from app.cli.results import announce, submit_options

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.cli.heap import Heap, Recording, Row

INTERRUPTED = 130


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
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

    With --no-wait, PATHS (.zip archives, too) are uploaded as one job, whose ID is printed.
    """
    from app.cli.heap import Heap, collect

    recordings = collect(paths)
    if not recordings:
        raise click.UsageError("the folders hold no files")
    request = hearing_fields(fields)
    with options.client() as client:
        if no_wait:
            announce(options, [client.transcripts([(one.name, one.path) for one in recordings], **request)])
            return
        request["priority"] = request["priority"] or "bulk"
        heap = Heap(client, output, request, parallel=parallel, fresh=fresh)
        try:
            failed = _shown(options, heap, recordings)
        except KeyboardInterrupt:
            options.leave(INTERRUPTED, "interrupted; run the same command again to go on")
    if not options.as_json:
        click.echo(output / "summary.csv")
    if failed:
        click.echo(f"voxqueue: {failed} of {len(recordings)} recordings have no transcript; see summary.csv", err=True)
        context.exit(FAILED)


def _shown(options: Options, heap: Heap, recordings: list[Recording]) -> int:
    """Do a heap and show how far it is; returns how many recordings failed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    failed = 0
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=options.console) as progress:
        uploaded = progress.add_task("uploaded", total=len(recordings))
        done = progress.add_task("transcribed", total=len(recordings))

        def tell(row: Row) -> None:
            nonlocal failed
            progress.advance(done)
            if options.as_json:
                click.echo(row.to_json())
            if row.status != "succeeded":
                failed += 1
                progress.console.print(f"{row.file}: {row.error}", style="red", markup=False, highlight=False)

        heap.run(recordings, lambda: progress.advance(uploaded), tell)
    return failed
