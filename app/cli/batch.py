"""`voxqueue batch`: a file of many small tasks into a folder of clips, through any interruption."""

from __future__ import annotations

import codecs
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED, pass_options
from app.cli.results import announce, common, exit_if_some_failed, finish, submit_options
from app.cli.resuming import submitted_once, unpacked
from jobs.states import Status

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--output", "-o", type=click.Path(file_okay=False, path_type=Path), help="A folder [the file's name, or batch]."
)
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

    `-` is standard input, of either form.

    Run again with the same file, it goes on with the job of the last time, and tries once more what failed. The clips,
    named by their custom_id, and results.jsonl, in the order of the lines, are saved in the folder.
    """
    request = {**common(**fields), "reuse": reuse}
    folder = output or _folder_of(file)
    with _on_disk(file) as lines, options.client() as client:
        submit = partial(client.batch, lines, **request)
        job = submitted_once(client, [lines], request, lambda key: submit(idempotency_key=key), fresh=fresh)
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


def _folder_of(file: Path) -> Path:
    """Return the folder for the results of a file: one that is no file, such as one without an ending."""
    folder = Path("batch" if str(file) == "-" else file.stem)
    return folder.with_name(f"{folder.name}-results") if folder.is_file() else folder


@contextlib.contextmanager
def _on_disk(file: Path) -> Iterator[Path]:
    """Give the file; what comes through a pipe is written to one, because its hash finds the job of the last time."""
    if str(file) != "-":
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        piped = sys.stdin.buffer.read()
        is_json = piped.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{")
        lines = Path(folder) / ("stdin.jsonl" if is_json else "stdin.csv")
        lines.write_bytes(piped)
        yield lines


def _saved(client: Client, job: JobObject, folder: Path) -> int:
    """Save the clips and the results; returns how many lines have failed."""
    results = next(file for file in job.output.files if file.name == "results.jsonl") if job.output else None
    if results is None:
        return 0
    with client.download(results, folder).open(encoding="utf-8") as lines:
        failed: int = sum(json.loads(line)["status"] != Status.SUCCEEDED for line in lines)
    unpacked(client, job, "results.zip", folder)
    return failed
