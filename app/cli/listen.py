"""`voxqueue stt`: from sound to text."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from app.cli.context import pass_options
from app.cli.results import announce, common, exit_if_some_failed, finish, save, submit_options
from jobs.specs import TranscriptFormat

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject

FORMATS = click.Choice(get_args(TranscriptFormat))


def hearing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how to listen."""
    for option in (
        click.option("--model", help="One of `voxqueue models`."),
        click.option("--language", metavar="CODE", help="Such as zh, en [detected]."),
        click.option("--translate", "task", flag_value="translate", default=None, help="Into English."),
        click.option("--prompt", help="Text that precedes the recording."),
        click.option("--hotwords", help="Words to expect."),
        click.option("--condition-on-previous-text", is_flag=True, default=None, help="Prompt with what was heard."),
        click.option("--words", "word_timestamps", is_flag=True, default=None, help="Times of words, too."),
        click.option("--no-vad", "vad", flag_value=False, type=bool, default=None, help="Keep what is not speech."),
        click.option("--split-channels", "channels", flag_value="split", default=None, help="A speaker each."),
        click.option("--script", type=click.Choice(["hans", "hant", "keep"]), help="Simplified or traditional."),
        click.option("--max-line-width", metavar="COLUMNS", type=int, help="Of subtitles; 中 takes two [42]."),
        click.option("--max-line-count", metavar="LINES", type=int, help="Of a subtitle [2]."),
        click.option("--format", "-F", "formats", type=FORMATS, multiple=True, help="Repeatable [txt]."),
    ):
        command = option(command)
    return command


def hearing_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `hearing_options` and `submit_options` as fields of a request."""
    fields = dict(fields)
    shared = common(fields.pop("priority"), fields.pop("timeout_seconds"), fields.pop("metadata"))
    fields["formats"] = list(fields["formats"]) or None
    return {**fields, **shared}


@click.command()
@click.argument("recordings", nargs=-1, required=True)
@click.option("--output", "-o", type=click.Path(file_okay=False, path_type=Path), help="A folder for the files.")
@hearing_options
@submit_options
@pass_options
@click.pass_context
def stt(
    context: click.Context,
    options: Options,
    /,
    recordings: tuple[str, ...],
    output: Path | None,
    *,
    no_wait: bool,
    **fields: Any,
) -> None:
    """Transcribe RECORDINGS: files, URLs, or `-` for standard input. Without --output the text is printed."""
    request = hearing_fields(fields)
    with options.client() as client:
        jobs = [_submitted(client, one, request) for one in recordings]
        if no_wait:
            announce(options, jobs)
            return
        good = finish(client, options, jobs)
        for job in good:
            if output is not None:
                save(client, options, job, output / job.id if len(jobs) > 1 else output, output)
            elif not options.as_json:
                click.echo(_text(client, job))
        exit_if_some_failed(context, jobs, good)


def _submitted(client: Client, recording: str, request: dict[str, Any]) -> JobObject:
    if recording.startswith(("http://", "https://")):
        return client.stt(url=recording, **request)
    if recording == "-":
        return client.stt(("stdin", sys.stdin.buffer.read()), **request)
    return client.stt(Path(recording), **request)


def _text(client: Client, job: JobObject) -> str:
    """Return the transcript: the text of the job, or the .txt file if the job has it cut."""
    from app.calls import Call

    if job.output is None:
        return ""
    file = next((file for file in job.output.files if file.name.endswith(".txt")), None)
    if file is not None and job.output.text_truncated:
        return client.send(Call("GET", file.url)).text
    return job.output.text or ""
