"""`voxqueue tts` and `book`: from text to sound."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from app.cli import known
from app.cli.context import pass_options
from app.cli.plans import plan_lines
from app.cli.results import announce, common, exit_if_some_failed, finish, missing, save, submit_options
from app.cli.resuming import submitted_once
from jobs.specs import AudioFormat, Pause, SubtitleFormat
from jobs.words import read_words

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.client import Client, JobObject

FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
OUTPUT = click.Path(path_type=Path, allow_dash=True)
PAUSES = get_args(Pause)
FORMATS = click.Choice(get_args(AudioFormat))
BOOK_ENDING = ".m4b"


def voice_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add how to speak."""
    for option in (
        click.option("--voice", help="One of `voxqueue voices`.", shell_complete=known.voices),
        click.option("--emotion", help="One of the voice's."),
        click.option("--speed", type=click.FloatRange(0.5, 2.0), help="Tempo; the pitch stays."),
        click.option("--sample-rate", type=int, metavar="HZ"),
        click.option("--subtitles", type=click.Choice(get_args(SubtitleFormat)), multiple=True, help="Repeatable."),
        click.option("--markup", type=click.Choice(["inline", "ssml", "none"])),
        click.option("--strict", is_flag=True, default=None, help="Fail instead of warn."),
    ):
        command = option(command)
    return command


def format_of(output: Path | None) -> str | None:
    """Return the format that an output file's name asks for."""
    ending = output.suffix.lstrip(".").lower() if output else ""
    return ending if ending in get_args(AudioFormat) else None


@click.command()
@click.argument("text", nargs=-1)
@click.option("--file", "-f", "source", type=FILE, help="Read the text from a file; `-` is standard input.")
@click.option("--output", "-o", type=OUTPUT, help="A file, a folder, or `-` for standard output [the job's ID here].")
@click.option("--format", type=FORMATS, help="Of the audio [wav, or the ending of --output].")
@voice_options
@submit_options
@pass_options
@click.pass_context
def tts(
    context: click.Context,
    options: Options,
    /,
    text: tuple[str, ...],
    source: Path | None,
    output: Path | None,
    *,
    no_wait: bool,
    **fields: Any,
) -> None:
    """Speak TEXT, or a file, or standard input."""
    spoken = _text_of(text, source)
    fields["format"] = fields["format"] or _wanted_format(output)
    request = _fields(fields)
    with options.client() as client:
        job = client.tts(spoken, **request)
        if no_wait:
            announce(options, [job])
            return
        good = finish(client, options, [job])
        for ended in good:
            save(client, options, ended, output, Path(ended.id))
        exit_if_some_failed(context, [job], good)


def _wanted_format(output: Path | None) -> str | None:
    """Return the format that the output asks for. Raises `click.BadParameter` for an ending that is none."""
    wanted = format_of(output)
    if wanted is None and output is not None and output.suffix and not output.is_dir():
        known = ", ".join(get_args(AudioFormat))
        raise click.BadParameter(f"{output.suffix} is none of {known}; say --format, too", param_hint="--output")
    return wanted


def _text_of(text: tuple[str, ...], source: Path | None) -> str:
    if text and source:
        raise click.UsageError("give a TEXT or --file, not both")
    if text and text != ("-",):
        return " ".join(text)
    if source is not None and str(source) != "-":
        try:
            return source.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise click.ClickException(f"{source} is not UTF-8") from error
    if sys.stdin.isatty() and text != ("-",) and source is None:
        raise click.UsageError("give a TEXT, --file, or a text on standard input")
    return sys.stdin.read()


def _fields(fields: dict[str, Any]) -> dict[str, Any]:
    fields = dict(fields)
    shared = common(fields.pop("priority"), fields.pop("timeout_seconds"), fields.pop("metadata"))
    fields["subtitles"] = list(fields["subtitles"]) or None
    return {**fields, **shared}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), help="A folder [the book's name], or NAME.m4b.")
@click.option("--title")
@click.option("--author")
@click.option("--cover", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A JPEG or PNG.")
@click.option("--chapters", "chapters_selected", metavar="RANGES", help="Such as 1-3,5.")
@click.option("--speak-titles/--no-speak-titles", default=None)
@click.option(
    "--chapter-voice",
    "chapter_voices",
    multiple=True,
    metavar="RANGES=VOICE",
    help="Such as 2,4-6=demo/M7. Repeatable.",
)
@click.option("--dialogue-voice", help="Voice of quoted speech.", shell_complete=known.voices)
@click.option("--dictionary", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Lines: WORD READING.")
@click.option("--pause", "pauses", multiple=True, metavar="AFTER=MS", help=f"After a {', '.join(PAUSES)}. Repeatable.")
@click.option("--loudness", type=click.Choice(["r128", "acx", "none"]))
@click.option("--reuse", is_flag=True, default=None, help="Take kept chapters of identical work, where the server may.")
@click.option("--format", type=FORMATS, help="Of the chapters' files [wav].")
@click.option("--plan", is_flag=True, default=None, help="Only say what would be done.")
@click.option("--fresh", is_flag=True, help="A new job, also if this book was submitted before.")
@voice_options
@submit_options
@pass_options
@click.pass_context
def book(
    context: click.Context,
    options: Options,
    /,
    file: Path,
    output: Path | None,
    cover: Path | None,
    dictionary: Path | None,
    *,
    no_wait: bool,
    fresh: bool,
    **fields: Any,
) -> None:
    """Speak a book: FILE is an .epub, .txt or .md.

    Run again with the same file and options, it goes on with the job of the last time, and tries once more what failed.
    """
    request = _fields(fields)
    _check_output(output, request)
    request["dictionary"] = _dictionary(dictionary) if dictionary else None
    request["chapter_voices"] = _pairs("--chapter-voice", request["chapter_voices"]) or None
    request["pauses"] = _pauses(request["pauses"]) or None
    with options.client() as client:
        submit = partial(client.audiobook, file, cover=cover, **request)
        hashed, anew = [file, *([cover] if cover else [])], fresh or bool(request["plan"])
        job = submitted_once(client, hashed, request, lambda key: submit(idempotency_key=key), fresh=anew)
        if no_wait:
            announce(options, [job])
            return
        good = finish(client, options, [job])
        for ended in good:
            if request["plan"] and not options.as_json:
                _show_plan(client, ended)
            if not request["plan"] or (output and not _is_one_file(output)):
                for path in _save_book(client, ended, output or Path(file.stem)):
                    if not options.as_json:
                        click.echo(path)
        if good and (count := missing(good[0])):
            click.echo(f"voxqueue: the book is without {count} of its chapters", err=True)
        exit_if_some_failed(context, [job], good)


def _is_one_file(output: Path) -> bool:
    return output.suffix.lower() == BOOK_ENDING and not output.is_dir()


def _check_output(output: Path | None, request: dict[str, Any]) -> None:
    if output is None or output.is_dir():
        return
    if (ending := format_of(output)) is not None:
        cure = f"for chapters as .{ending} name a folder, and give --format {ending}"
        raise click.BadParameter(f"a book is saved as NAME{BOOK_ENDING} or in a folder; {cure}", param_hint="--output")
    if _is_one_file(output) and request["subtitles"]:
        why = f"subtitles are files beside the chapters' own, and {output.name} is one file; name a folder"
        raise click.BadParameter(why, param_hint="--output")


def _save_book(client: Client, job: JobObject, output: Path) -> Iterator[Path]:
    """Save a book: as the one file that is asked for, or into a folder with all its chapters; yields the paths."""
    files = job.output.files if job.output else []
    if _is_one_file(output):
        book = next(file for file in files if file.name.endswith(".m4b"))
        yield client.download(book, output.parent, name=output.name)
        return
    yield from client.fetch(job, output)
    saved = {file.name for file in files}
    for chapter in client.jobs(parent=job.id):  # a long book does not list the files of its chapters
        rest = [file for file in (chapter.output.files if chapter.output else []) if file.name not in saved]
        yield from (client.download(file, output) for file in rest)


def _show_plan(client: Client, job: JobObject) -> None:
    found = next(file for file in job.output.files if file.name == "plan.json") if job.output else None
    with tempfile.TemporaryDirectory() as folder:
        plan = json.loads(client.download(found, folder).read_bytes()) if found else {}
    for line in plan_lines(plan):
        click.echo(line)


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not (equals and key.strip() and value.strip()):
            raise click.BadParameter(f"{one!r} is not of the form KEY=VALUE", param_hint=option)
        found[key.strip()] = value.strip()
    return found


def _pauses(given: tuple[str, ...]) -> dict[str, int]:
    pairs = _pairs("--pause", given)
    wrong = [f"{name}={value}" for name, value in pairs.items() if name not in PAUSES or not value.isdecimal()]
    if wrong:
        raise click.BadParameter(
            f"{wrong[0]} must be one of {', '.join(PAUSES)} and milliseconds", param_hint="--pause"
        )
    return {name: int(value) for name, value in pairs.items()}


def _dictionary(path: Path) -> dict[str, str]:
    try:
        return {word: reading for word, reading, _ in read_words(path)}
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path} is not UTF-8") from error
