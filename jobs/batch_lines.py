"""The lines of a batch: what each asks for, or what is wrong with it. Door and planner read them alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from pydantic import ValidationError

from jobs.fields import shapes_of
from jobs.lines import Line, read_lines
from jobs.record import Problem
from jobs.specs import BatchLine, STTSpec, TTSSpec
from jobs.validation import explain

LONGEST_ID = 200
SHAPES = shapes_of(STTSpec, TTSSpec)


@dataclass(frozen=True)
class Task:
    """A line of a batch as it was understood. `number` counts all lines of the file from 1."""

    number: int
    custom_id: str
    line: BatchLine | None
    problem: Problem | None = None


def tasks(file: IO[bytes], media_type: str, max_text_chars: int) -> Iterator[Task]:
    """Yield the lines of a batch that are not blank. A custom ID is used once: a later line with it is wrong."""
    seen: set[str] = set()
    for line in read_lines(file, media_type, SHAPES):
        task = _task(line, seen, max_text_chars)
        if task.line is not None:
            seen.add(task.custom_id)
        yield task


def _task(line: Line, seen: set[str], max_text_chars: int) -> Task:
    given = line.value.get("custom_id")
    custom_id = given[:LONGEST_ID] if isinstance(given, str) and given else f"line-{line.number}"

    def bad(code: str, detail: str) -> Task:
        return Task(line.number, custom_id, None, Problem(code, "The line cannot be run", detail))

    if line.problem:
        return bad("bad_line", line.problem)
    try:
        found = BatchLine.model_validate(line.value)
    except ValidationError as error:
        return bad("bad_line", "; ".join(f"{wrong.field}: {wrong.detail}" for wrong in explain(error, BatchLine)[:3]))
    if custom_id in seen:
        return bad("duplicate_custom_id", f"custom_id {custom_id!r} was used by an earlier line")
    if found.tts is not None and len(found.tts.text) > max_text_chars:
        limit = f"at most {max_text_chars} are allowed (VOXQUEUE_MAX_TEXT_CHARS)"
        return bad("text_too_long", f"tts.text: has {len(found.tts.text)} characters; {limit}: split it")
    return Task(line.number, custom_id, found)
