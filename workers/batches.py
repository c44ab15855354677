"""The work of a batch job: one line, one child; results in the order of the lines, and a zip."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from jobs.files import Store, scratch
from jobs.record import Blob, Job, Output, Problem, Warn
from jobs.settings import Settings
from jobs.specs import BatchLine
from jobs.states import Kind, Status
from workers.parents import Child, Family, at_home, problem_of
from workers.session import JobFailed, Session
from workers.transcripts import UniqueNames, copy_into, safe_path

MOST_WARNINGS = 100
LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class ParsedLine:
    """A line of the input: what it asks for, or what is wrong with it. `number` counts from 1, blank lines too."""

    number: int
    custom_id: str
    line: BatchLine | None
    problem: Problem | None


@dataclass(frozen=True)
class Batches:
    """Plans and assembles batch jobs."""

    family: Family
    store: Store
    settings: Settings

    def plan(self, session: Session) -> None:
        """Submit a child for every good line."""
        parsed = self._lines(session.job)
        children = (_child(one.number, one.line) for one in parsed if one.line is not None)
        if not self.family.submit(session, children):
            first = next((one.problem for one in self._lines(session.job) if one.problem), None)
            detail = first.detail if first else "the file holds no lines"
            raise JobFailed("no_good_line", "Nothing to do", f"file: no line can be run; the first: {detail}")

    def _lines(self, job: Job) -> Iterator[ParsedLine]:
        seen: set[str] = set()
        with self.store.open(job.id, job.inputs[0]) as file:
            number = count = 0
            while raw := file.readline(LONGEST_LINE):
                number += 1
                if not raw.strip():
                    continue
                count += 1
                if count > self.settings.max_children:
                    limit = f"{self.settings.max_children} (VOXQUEUE_MAX_CHILDREN)"
                    raise JobFailed("too_many_lines", "Too many lines", f"file: more than {limit} lines; split it")
                yield parse_line(number, raw, seen, self.settings.max_text_chars)

    def assemble(self, session: Session) -> Output:
        """Write `results.jsonl` in the order of the input, and the clips into a zip named by their custom IDs."""
        job = session.job
        children = self.family.children(job)
        warnings: list[Warn] = []
        seconds = 0.0
        with scratch() as folder:
            names = UniqueNames()
            results, archive_path = folder / "results.jsonl", folder / "results.zip"
            with results.open("w", encoding="utf-8") as out, zipfile.ZipFile(archive_path, "w") as archive:
                child = next(children, None)
                for parsed in self._lines(job):
                    session.check()
                    own = child if child is not None and child.index == parsed.number else None
                    child = next(children, None) if own else child
                    row = self._row(parsed, own, archive, names)
                    seconds += (row.get("output") or {}).get("duration_seconds") or 0.0
                    if row["error"] and len(warnings) < MOST_WARNINGS:
                        detail = f"line {parsed.number} ({parsed.custom_id}): {row['error']['detail']}"
                        warnings.append(Warn("line_failed", detail, parsed.number))
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
            files = (
                self.store.put(job.id, results, name="results.jsonl", media_type="application/jsonl"),
                self.store.put(job.id, archive_path, name="results.zip", media_type="application/zip"),
            )
        output = Output(files=files, duration_seconds=round(seconds, 3), warnings=tuple(warnings))
        return self.family.verdict(session, output, strict=False)

    def _row(
        self, parsed: ParsedLine, child: Job | None, archive: zipfile.ZipFile, names: UniqueNames
    ) -> dict[str, Any]:
        row: dict[str, Any] = {"custom_id": parsed.custom_id, "line": parsed.number}
        problem = parsed.problem if child is None else problem_of(child)
        row["status"] = Status.FAILED.value if child is None else child.status.value
        row["error"] = problem.to_json() if problem else None
        if child is not None:
            row["job"] = child.id
            row["output"] = {name: value for name, value in child.output.items() if name != "files"} | {
                "files": [self._file(archive, names, parsed, child, blob) for blob in child.output_files]
            }
        return row

    def _file(
        self, archive: zipfile.ZipFile, names: UniqueNames, parsed: ParsedLine, child: Job, blob: Blob
    ) -> dict[str, Any]:
        name = names.take(f"{safe_path(parsed.custom_id)}{PurePosixPath(blob.name).suffix}")
        copy_into(archive, name, self.store, child.id, at_home(blob, child.id))
        return {"name": name, "media_type": blob.media_type, "bytes": blob.bytes}


def parse_line(number: int, raw: bytes, seen: set[str], max_text_chars: int) -> ParsedLine:
    """Return a line as it was understood; `seen` are the custom IDs before it."""
    custom_id = f"line-{number}"
    try:
        value = json.loads(raw)
        if isinstance(value, dict) and isinstance(value.get("custom_id"), str):
            custom_id = value["custom_id"][:200]
        line = BatchLine.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "line"
        return _bad(number, custom_id, "bad_line", f"{field}: {first['msg']}")
    except ValueError as error:
        return _bad(number, custom_id, "bad_json", f"is no JSON: {error}")
    if custom_id in seen:
        return _bad(number, custom_id, "duplicate_custom_id", f"custom_id {custom_id!r} was used by an earlier line")
    if line.tts is not None and len(line.tts.text) > max_text_chars:
        return _bad(number, custom_id, "text_too_long", f"tts.text: over {max_text_chars} characters; split it")
    seen.add(custom_id)
    return ParsedLine(number, custom_id, line, None)


def _bad(number: int, custom_id: str, code: str, detail: str) -> ParsedLine:
    return ParsedLine(number, custom_id, None, Problem(code, "The line cannot be run", detail))


def _child(number: int, line: BatchLine) -> Child:
    spec = line.tts or line.stt
    if spec is None:
        raise AssertionError("a validated line has a task")
    kind = Kind.TTS if line.tts is not None else Kind.STT
    return Child(number, kind, spec, metadata={"custom_id": line.custom_id})
