"""A heap of recordings on its way: hashed, uploaded, waited for and saved, each by itself, many at once.

Each recording is a job whose Idempotency-Key is the hash of its bytes and of the options. So whenever the program is
killed, the next run finds what the server has, uploads only what it has not, and does nothing that is saved already.
"""

from __future__ import annotations

import errno
import filecmp
import hashlib
import json
import queue
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from app.cli.journal import OWN_FOLDER, SUMMARY, SUMMARY_TABLE, Journal, Row, foreign_summaries, stem_of
from app.names import printable
from jobs.names import UniqueNames
from jobs.states import Status
from jobs.summaries import count_words, summary_csv

if TYPE_CHECKING:
    from app.client import Client, JobObject

WAITERS = 8
"""Jobs that are waited for at once, in the order of their submits: the others end after them."""
LONGEST_WAIT = 50.0
FULL = 429
FOR_ALL = frozenset({401, 403})
"""Refusals that no other recording would escape."""
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of the disk that no other transcript would escape."""


ENDING = PurePosixPath(SUMMARY).suffix
"""Of a transcript, where any will do; with that of the summary no transcript is called like it."""


@dataclass(frozen=True)
class Recording:
    """A file, and its name in the heap: with its folders."""

    path: Path
    name: str


def collect(paths: Iterable[Path], output: Path) -> list[Recording]:
    """Return the files, and those of folders; several folders keep their own names before their files'.

    Results are no recordings: all below `output`, or, where that holds recordings too, what earlier runs saved there.
    """
    given = list(paths)
    made = _Made(output)
    found: dict[str, Recording] = {}
    for path in given:
        for file in _below(path, made) if path.is_dir() else [path]:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            if path.is_dir() and len(given) > 1:
                name = f"{path.resolve().name}/{name}"
            while name in found and not found[name].path.samefile(file):
                name = f"{file.resolve().parent.name}/{name}"
            found.setdefault(name, Recording(file, name))
    return list(found.values())


class _Made:
    """Knows what lies below the output."""

    def __init__(self, output: Path) -> None:
        self._output = output.resolve()
        self._journal = Journal(output)

    def holds(self, path: Path, folder: Path) -> bool:
        """Return whether a path found below a folder is a result."""
        if not path.is_relative_to(self._output):
            return False
        return not folder.is_relative_to(self._output) or self._journal.wrote(path.relative_to(self._output).as_posix())


def _below(folder: Path, made: _Made) -> Iterator[Path]:
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if path.is_file() and not hidden and not made.holds(root / inside, root):
            yield path


def _bases(names: Iterable[str]) -> dict[str, str]:
    """Return where the transcripts of recordings go, without an ending: each at a place of its own.

    `talks/a.wav` becomes `talks/a`; beside an `a.mp3`, or a folder `a.txt`, `talks/a.wav`.
    """
    names = list(names)
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents if folder.suffix}
    stems = Counter(stem_of(name) for name in [*names, *folders])
    free = UniqueNames()
    free.take(SUMMARY)
    bases = {name: name if stems[stem_of(name)] > 1 else stem_of(name) for name in names}
    # Names are taken as BASE.json, not as BASE: transcripts always have an ending, so talks.txt may lie beside the
    # folder talks/.
    return {name: stem_of(free.take(f"{base}{ENDING}")) for name, base in bases.items()}


class Heap:
    """Does recordings with a client and saves their transcripts below a folder."""

    def __init__(self, client: Client, output: Path, fields: dict[str, Any], *, parallel: int, fresh: bool) -> None:
        self._client = client
        self._output = output
        self._fields = fields
        self._parallel = parallel
        self._salt = uuid.uuid4().hex if fresh else ""
        self._journal = Journal(output)
        self._events: queue.SimpleQueue[Row | str | BaseException] = queue.SimpleQueue()
        self._waiting: queue.SimpleQueue[tuple[Recording, str, JobObject] | None] = queue.SimpleQueue()
        self._jobs: dict[str, Future[JobObject]] = {}
        self._lock = threading.Lock()
        self._bases: dict[str, str] = {}

    def run(self, recordings: list[Recording], on_upload: Callable[[], None], on_row: Callable[[Row], None]) -> None:
        """Do all; `on_upload` when one has been sent or need not be, `on_row` when one has ended.

        Raises what keeps all of them from being done.
        """
        self._prepare()
        self._bases = _bases(one.name for one in recordings)
        todo = iter(recordings)
        # Daemons: an interrupted program does not wait for uploads and long polls.
        for target, count in ((lambda: self._submit_all(todo), self._parallel), (self._wait_for_all, WAITERS)):
            for _ in range(count):
                threading.Thread(target=target, daemon=True).start()
        try:
            rows = self._rows(len(recordings), on_upload, on_row)
        finally:
            for _ in range(WAITERS):
                self._waiting.put(None)
        order = {one.name: number for number, one in enumerate(recordings)}
        self._summarise(sorted(rows, key=lambda row: order[row.file]))

    def _prepare(self) -> None:
        """Make the folder of the results. Raises what would keep all of them from being saved there."""
        own = self._output / OWN_FOLDER
        try:
            own.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=own).close()
        except OSError as error:
            why = f"transcripts cannot be saved in {self._output}: {error.strerror}; change --output"
            raise OSError(error.errno, printable(why)) from error
        for name in foreign_summaries(self._output):
            why = (
                f"{self._output / name} is there already and is no summary of transcripts; move it, or change --output"
            )
            raise FileExistsError(errno.EEXIST, printable(why))

    def _rows(self, count: int, on_upload: Callable[[], None], on_row: Callable[[Row], None]) -> list[Row]:
        rows: list[Row] = []
        while len(rows) < count:
            event = self._events.get()
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Row):
                rows.append(event)
                on_row(event)
            else:
                on_upload()
        return rows

    def _summarise(self, rows: list[Row]) -> None:
        shown = [{**row, "files": list(row["files"])} for row in (row.shown() for row in rows)]
        (self._output / SUMMARY_TABLE).write_bytes(summary_csv(shown))
        (self._output / SUMMARY).write_text(json.dumps(shown, ensure_ascii=False, indent=2), "utf-8")

    # --- uploading

    def _submit_all(self, todo: Iterator[Recording]) -> None:
        while True:
            with self._lock:
                recording = next(todo, None)
            if recording is None:
                return
            try:
                self._submit(recording)
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                self._events.put(error)
                return

    def _submit(self, recording: Recording) -> None:
        begun = self._begun(recording)
        self._events.put("uploaded")
        if isinstance(begun, Row):
            self._events.put(begun)
        else:
            self._waiting.put(begun)

    def _begun(self, recording: Recording) -> Row | tuple[Recording, str, JobObject]:
        """Return what became of a recording already, or its job."""
        from app.client import ApiError

        try:
            key = self._key(recording)
            done = self._journal.done(key, recording.name, self._bases[recording.name])
            return done or (recording, key, self._job_of(recording, key))
        except ApiError as error:
            if error.status in FOR_ALL:
                raise
            return Row(recording.name, "refused", error=error.detail)
        except OSError as error:
            return Row(recording.name, "failed", error=f"cannot be read: {error.strerror or error}")

    def _key(self, recording: Recording) -> str:
        with recording.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        asked = [content, self._client.url, self._salt, {k: v for k, v in self._fields.items() if v is not None}]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def _job_of(self, recording: Recording, key: str) -> JobObject:
        """Return the job of a recording's content; the first one with it uploads, the others of this run wait."""
        with self._lock:
            mine = key not in self._jobs
            promised = self._jobs.setdefault(key, Future())
        if mine:
            try:
                promised.set_result(self._found(key) or self._uploaded(recording, key))
            except BaseException as error:  # noqa: BLE001 - those who wait for it get it, too
                promised.set_exception(error)
        return promised.result()

    def _found(self, key: str) -> JobObject | None:
        """Return the job that an earlier run has submitted, running again if it was broken."""
        job = next(self._client.jobs(idempotency_key=key), None)
        if job is not None and job.status in {Status.FAILED, Status.CANCELED}:
            return self._client.retry(job.id)
        return job

    def _uploaded(self, recording: Recording, key: str) -> JobObject:
        from app.client import ApiError

        while True:
            try:
                name = PurePosixPath(recording.name).name
                return self._client.stt((name, recording.path), idempotency_key=key, **self._fields)
            except ApiError as error:
                # Another program has submitted these bytes meanwhile, under another name.
                if error.code == "idempotency_conflict" and (job := self._found(key)) is not None:
                    return job
                if error.status != FULL:
                    raise
                time.sleep(error.retry_after or 5)  # the queue is full: this takes as long as it takes

    # --- saving

    def _wait_for_all(self) -> None:
        while (submitted := self._waiting.get()) is not None:
            recording, key, job = submitted
            try:
                row = self._ended(recording, job)
                if row.status == Status.SUCCEEDED:
                    self._journal.add(key, row)
                self._events.put(row)
            except BaseException as error:  # noqa: BLE001 - the main thread raises it
                self._events.put(error)

    def _ended(self, recording: Recording, job: JobObject) -> Row:
        from app.client import ApiError

        try:
            while not job.status.is_terminal:
                job = self._client.job(job.id, wait=LONGEST_WAIT)
            row = Row(recording.name, job.status.value, job=job.id)
            if job.output is None or job.status != Status.SUCCEEDED:
                row.error = job.error.detail if job.error else f"the job is {job.status}"
                return row
            row.files = self._saved(recording, job)
        except ApiError as error:
            return Row(recording.name, "failed", job=job.id, error=error.detail)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            return Row(recording.name, "failed", job=job.id, error=f"cannot be saved: {error.strerror or error}")
        row.seconds, row.language = job.output.duration_seconds, job.output.language or ""
        row.words = None if job.output.text is None else count_words(job.output.text)
        row.warnings = "; ".join(warning.detail for warning in job.output.warnings)
        return row

    def _saved(self, recording: Recording, job: JobObject) -> dict[str, int]:
        """Save a transcript beside the place of its recording. Raises `FileExistsError` over a file of the user's."""
        saved = {}
        with tempfile.TemporaryDirectory(dir=self._output / OWN_FOLDER) as folder:
            for file in job.output.files if job.output else []:
                name = f"{self._bases[recording.name]}{PurePosixPath(file.name).suffix}"
                target = self._output / name
                target.parent.mkdir(parents=True, exist_ok=True)
                fetched = self._client.download(file, folder)
                # A run that was killed before its note has left the same bytes.
                if (why := self._journal.why_kept(name)) and not filecmp.cmp(fetched, target, shallow=False):
                    told = f"{name} is there already and {why}; move it, or change --output"
                    raise FileExistsError(errno.EEXIST, printable(told))
                saved[name] = fetched.replace(target).stat().st_size
        return saved
