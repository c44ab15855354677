"""The work of a transcripts job: many recordings, one child each; a zip and a summary at the end."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from jobs.files import Store, scratch
from jobs.names import UniqueNames
from jobs.record import Blob, Job, Output, Problem, Warn, bounded
from jobs.settings import Settings
from jobs.specs import STTSpec
from jobs.states import Kind, Status
from jobs.summaries import count_words, summary_csv
from workers.archives import copy_into
from workers.parents import LISTED_FILES, Child, Family, as_json, at_home, options_for, problem_of
from workers.recordings import Recording, Recordings
from workers.session import JobFailed, Session


@dataclass(frozen=True)
class Transcripts:
    """Plans and assembles transcripts jobs."""

    family: Family
    store: Store
    settings: Settings

    def plan(self, session: Session) -> None:
        """Submit a child for every recording that can be had; what is wrong with the others, `assemble` tells."""
        if not self.family.submit(session, self._children(session)):
            first = next(iter(self._recordings(session.job)), None)
            detail = self._reason(first) if first else "files: the zip holds no files"
            raise JobFailed("no_files", "No recordings", detail)

    def _recordings(self, job: Job) -> Iterator[Recording]:
        return Recordings(self.store, self.settings).of(job)

    def _children(self, session: Session) -> Iterator[Child]:
        for index, recording in enumerate(self._recordings(session.job)):
            session.check()  # unpacking takes its time
            if recording.problem is None:
                try:
                    inputs = (recording.take(),) if recording.take else ()
                except JobFailed:
                    continue
                spec = options_for(session.job, STTSpec, **recording.own)
                yield Child(index, Kind.STT, spec, inputs, {"path": recording.path})

    @staticmethod
    def _reason(recording: Recording) -> str:
        """Return why a recording has no child."""
        if recording.problem is not None:
            return recording.problem.detail
        try:
            if recording.take:
                recording.take()
        except JobFailed as failure:
            return failure.problem.detail
        raise AssertionError("a recording that can be had has a child")

    def assemble(self, session: Session) -> Output:
        """Put the children's files into a zip that mirrors the folders, and write the summaries."""
        job = session.job
        with scratch() as folder:
            heap = _Heap(self.store, Counter(_stem(child) for child in self.family.children(job)))
            archive_path = folder / "transcripts.zip"
            with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
                children = self.family.children(job)
                child = next(children, None)
                for index, recording in enumerate(self._recordings(job)):
                    session.check()
                    if child is not None and child.index == index:
                        heap.add(archive, child)
                        child = next(children, None)
                    else:
                        heap.leave_out(recording.path, self._reason(recording))
                summaries = (
                    ("summary.csv", "text/csv", summary_csv(heap.rows)),
                    ("summary.json", "application/json", as_json(heap.rows)),
                )
                for name, _, content in summaries:
                    archive.writestr(name, content)
            files = [self.store.put(job.id, archive_path, name="transcripts.zip", media_type="application/zip")]
            files += [self.store.put(job.id, content, name=name, media_type=kind) for name, kind, content in summaries]
        if len(heap.rows) <= LISTED_FILES:
            files += heap.listed
        output = Output(files=tuple(files), duration_seconds=round(heap.seconds, 3), warnings=bounded(heap.warnings))
        return self.family.verdict(session, output, strict=False)


class _Heap:
    """What has been assembled so far."""

    def __init__(self, store: Store, stems: Counter[str]) -> None:
        self._store = store
        self._stems = stems
        self._names = UniqueNames()
        for summary in ("summary.csv", "summary.json"):
            self._names.take(summary)  # a recording may be called summary.wav
        self.rows: list[dict[str, Any]] = []
        self.listed: list[Blob] = []
        self.warnings: list[Warn] = []
        self.seconds = 0.0

    def add(self, archive: zipfile.ZipFile, child: Job) -> None:
        """Add a child's files: `talks/a.wav` becomes `talks/a.txt`, or `talks/a.wav.txt` beside an `a.mp3`."""
        self.seconds += child.output.get("duration_seconds") or 0.0
        path, stem = child.metadata["path"], _stem(child)
        base = path if self._stems[stem] > 1 else stem
        names = []
        for blob in child.output_files:
            name = self._names.take(f"{base}{PurePosixPath(blob.name).suffix}")
            copy_into(archive, name, self._store, child.id, blob)
            self.listed.append(at_home(replace(blob, name=name), child.id))
            names.append(name)
        problem = problem_of(child)
        self._row(
            path,
            child.status,
            problem,
            seconds=child.output.get("duration_seconds"),
            language=child.output.get("language") or "",
            words=self._words(child),
            warnings="; ".join(warning["detail"] for warning in child.output.get("warnings", ())),
            job=child.id,
            files=names,
        )

    def leave_out(self, path: str, reason: str) -> None:
        """Tell why a recording has no transcript."""
        self._row(path, Status.FAILED, Problem("no_recording", "No recording", reason))

    def _row(self, path: str, status: Status, problem: Problem | None, **facts: Any) -> None:
        detail = problem.detail if problem else ""
        unknown: dict[str, Any] = {
            "seconds": None, "language": "", "words": None, "warnings": "", "job": "", "files": [],
        }  # fmt: skip
        self.rows.append({"file": path, "status": status.value, "error": detail, **unknown, **facts})
        if problem:
            self.warnings.append(Warn("child_failed", f"{path}: {detail}", len(self.rows) - 1))

    def _words(self, child: Job) -> int | None:
        """Count the words of a transcript; one that is too long for the record is read from its file."""
        text = child.output.get("text")
        file = next(
            (blob for blob in child.output_files if blob.media_type in {"text/plain", "application/json"}), None
        )
        if text is None and file is not None:
            with self._store.open(child.id, file) as source:
                content = source.read().decode()
            text = json.loads(content)["text"] if file.media_type == "application/json" else content
        return None if text is None else count_words(text)


def _stem(child: Job) -> str:
    return str(PurePosixPath(child.metadata["path"]).with_suffix(""))
