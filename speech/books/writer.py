"""Writing chapters in a process of its own: levelling and encoding beside an engine would take its interpreter's time.

    python -m speech.books.writer PARENT

One task after another: a line of JSON from stdin says what to write (`task_line`), a line to stdout what was made or
why not (`made_of`). It ends with stdin, when its parent is gone, or when it had nothing to do for a minute.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from speech.books.chapter import ChapterAudio, Levels, Making, encode_chapter
from speech.books.loudness import Loudness
from speech.books.model import Warned
from speech.errors import SpeechError

IDLE_SECONDS = 60
"""How long it waits for the next chapter: its memory (some 80 MB) is the book's and not the server's."""
NICENESS = 5
"""Where cores are short the engine goes first."""


class Orphaned(Exception):
    """The parent is gone, and nobody waits for the files."""


def task_line(joined: Path, folder: Path, stem: str, making: Making, title: str) -> bytes:
    """Return the task to write a chapter; the arguments are those of `encode_chapter`."""
    task = {"joined": str(joined), "folder": str(folder), "stem": stem, "making": asdict(making), "title": title}
    return json.dumps(task).encode() + b"\n"


def made_of(line: bytes) -> ChapterAudio:
    """Return what a writer has made. Raises what made it fail: a `SpeechError`, an `OSError`, else `RuntimeError`."""
    answer = json.loads(line)
    match answer:
        case {"made": made}:
            return ChapterAudio(
                title=made["title"],
                seconds=made["seconds"],
                gain_db=made["gain_db"],
                before=Loudness(**made["before"]),
                after=Loudness(**made["after"]),
                files={kind: Path(path) for kind, path in made["files"].items()},
                warnings=tuple(Warned(**one) for one in made["warnings"]),
            )
        case {"code": code, "detail": detail}:
            raise SpeechError(detail, code=code)
        case {"errno": number, "detail": detail}:
            raise OSError(number, detail)
    raise RuntimeError(f"writing the chapter failed: {answer['detail']}")


def answer_line(line: bytes, check: Callable[[], None]) -> bytes:
    """Do a task and return the line that tells what came of it."""
    answer: dict[str, Any]
    try:
        answer = {"made": _made(json.loads(line), check)}
    except Orphaned:
        raise
    except SpeechError as error:
        answer = {"code": error.code, "detail": error.detail}
    except OSError as error:
        answer = {"errno": error.errno, "detail": error.strerror or str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent raises it
        traceback.print_exc()
        answer = {"detail": repr(error)}
    return json.dumps(answer).encode() + b"\n"


def _made(task: dict[str, Any], check: Callable[[], None]) -> dict[str, Any]:
    making = Making(**{**task["making"], "levels": Levels(**task["making"]["levels"])})
    made = encode_chapter(task["joined"], task["folder"], task["stem"], making, title=task["title"], check=check)
    return asdict(made) | {"files": {kind: str(path) for kind, path in made.files.items()}}


def serve(source: BinaryIO, sink: BinaryIO, parent: int) -> None:
    """Do tasks of a process until `source` ends or is silent for `IDLE_SECONDS`. Raises `Orphaned`."""

    def check() -> None:
        if os.getppid() != parent:
            raise Orphaned

    while select.select([source], [], [], IDLE_SECONDS)[0] and (line := source.readline()):
        sink.write(answer_line(line, check))
        sink.flush()


def main() -> None:
    """Run as a child of a worker, which says when to stop: signals to its group are not for the writer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    try:
        serve(sys.stdin.buffer, answers, int(sys.argv[1]))
    except (Orphaned, BrokenPipeError):
        os._exit(0)  # there is nobody to flush to


if __name__ == "__main__":
    main()
