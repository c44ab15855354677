"""The work of a batch job: one line, one child; results in the order of the lines, and a zip."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from jobs.batch_lines import Task, tasks
from jobs.files import Store, scratch
from jobs.names import UniqueNames, clean_path
from jobs.record import Blob, Job, Output, Warn, bounded
from jobs.settings import Settings
from jobs.specs import BatchLine, BatchSpec, STTSpec, TTSSpec
from jobs.states import Kind, Status
from workers.archives import copy_into
from workers.parents import Child, Family, problem_of
from workers.session import JobFailed, Session


@dataclass(frozen=True)
class Batches:
    """Plans and assembles batch jobs."""

    family: Family
    store: Store
    settings: Settings

    def plan(self, session: Session) -> None:
        """Submit a child for every good line."""
        shared = BatchSpec.model_validate(session.job.spec)
        lines = self._tasks(session.job)
        children = (_child(task.number, task.line, shared) for task in lines if task.line is not None)
        if not self.family.submit(session, children):
            first = next((task.problem for task in self._tasks(session.job) if task.problem), None)
            detail = first.detail if first else "the file holds no lines"
            raise JobFailed("no_good_line", "Nothing to do", f"file: no line can be run; the first: {detail}")

    def _tasks(self, job: Job) -> Iterator[Task]:
        [lines] = job.inputs
        with self.store.open(job.id, lines) as file:
            for count, task in enumerate(tasks(file, lines.media_type, self.settings.max_text_chars), 1):
                if count > self.settings.max_children:
                    limit = f"{self.settings.max_children} (VOXQUEUE_MAX_CHILDREN)"
                    raise JobFailed("too_many_lines", "Too many lines", f"file: more than {limit} lines; split it")
                yield task

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
                for task in self._tasks(job):
                    session.check()
                    own = child if child is not None and child.index == task.number else None
                    child = next(children, None) if own else child
                    row = self._row(task, own, archive, names)
                    seconds += (row.get("output") or {}).get("duration_seconds") or 0.0
                    if row["error"]:
                        detail = f"line {task.number} ({task.custom_id}): {row['error']['detail']}"
                        warnings.append(Warn("line_failed", detail, task.number))
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
            files = (
                self.store.put(job.id, results, name="results.jsonl", media_type="application/jsonl"),
                self.store.put(job.id, archive_path, name="results.zip", media_type="application/zip"),
            )
        output = Output(files=files, duration_seconds=round(seconds, 3), warnings=bounded(warnings))
        return self.family.verdict(session, output, strict=False)

    def _row(self, task: Task, child: Job | None, archive: zipfile.ZipFile, names: UniqueNames) -> dict[str, Any]:
        row: dict[str, Any] = {"custom_id": task.custom_id, "line": task.number}
        problem = task.problem if child is None else problem_of(child)
        row["status"] = Status.FAILED.value if child is None else child.status.value
        row["error"] = problem.to_json() if problem else None
        if child is not None:
            row["job"] = child.id
            row["output"] = {name: value for name, value in child.output.items() if name != "files"} | {
                "files": [self._file(archive, names, task, child, blob) for blob in child.output_files]
            }
        return row

    def _file(self, archive: zipfile.ZipFile, names: UniqueNames, task: Task, child: Job, blob: Blob) -> dict[str, Any]:
        name = names.take(f"{clean_path(task.custom_id)}{PurePosixPath(blob.name).suffix}")
        copy_into(archive, name, self.store, child.id, blob)
        url = f"/v1/jobs/{child.id}/files/{quote(blob.name)}"
        return {"name": name, "media_type": blob.media_type, "bytes": blob.bytes, "url": url}


def _child(number: int, line: BatchLine, shared: BatchSpec) -> Child:
    spec: TTSSpec | STTSpec | None = line.tts or line.stt
    if spec is None:
        raise AssertionError("a validated line has a task")
    kind = Kind.TTS if line.tts is not None else Kind.STT
    priority = spec.priority if "priority" in spec.model_fields_set else shared.priority
    spec = spec.model_copy(update={"reuse": spec.reuse or shared.reuse, "priority": priority})
    return Child(number, kind, spec, metadata={**spec.metadata, "custom_id": line.custom_id})
