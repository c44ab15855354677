"""A heap of recordings on its way: hashed, uploaded, waited for and saved, each by itself, many at once.

Each recording is a job whose Idempotency-Key is the hash of its bytes and of the options. So whenever the program is
killed, the next run finds what the server has, uploads only what it has not, and does nothing that is saved already.
"""

from __future__ import annotations

import hashlib
import json
import queue
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from jobs.states import Status
from jobs.summaries import count_words, summary_csv

if TYPE_CHECKING:
    from app.client import Client, JobObject

OWN_FOLDER = ".voxqueue"
WAITERS = 8
"""Jobs that are waited for at once, in the order of their submits: the others end after them."""
LONGEST_WAIT = 50.0
FULL = 429
FOR_ALL = frozenset({401, 403})
"""Refusals that no other recording would escape."""


@dataclass(frozen=True)
class Recording:
    """A file, and its name in the heap: with its folders."""

    path: Path
    name: str


@dataclass
class Row:
    """What became of a recording; a line of the summary and of the journal."""

    file: str
    status: str
    seconds: float | None = None
    language: str = ""
    words: int | None = None
    error: str = ""
    job: str = ""
    files: dict[str, int] = field(default_factory=dict)
    """Names and bytes of what was saved."""

    def to_json(self) -> str:
        """Return a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def collect(paths: Iterable[Path]) -> list[Recording]:
    """Return the files, and those of folders; several folders keep their own names before their files'."""
    given = list(paths)
    found: dict[str, Recording] = {}
    for path in given:
        for file in _below(path) if path.is_dir() else [path]:
            name = file.relative_to(path).as_posix() if path.is_dir() else file.name
            if path.is_dir() and len(given) > 1:
                name = f"{path.resolve().name}/{name}"
            while name in found and not found[name].path.samefile(file):
                name = f"{file.resolve().parent.name}/{name}"
            found.setdefault(name, Recording(file, name))
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


class Journal:
    """What is done, a line each, in the folder of the results. A killed process may leave half a line."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output / OWN_FOLDER / "journal.jsonl"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], Row] = {}
        for line in self._path.read_text("utf-8").splitlines() if self._path.exists() else []:
            try:
                entry = json.loads(line)
                key = entry.pop("key")
                row = Row(**entry)
            except (ValueError, TypeError):  # half a line, or one of another version: it is found out again
                continue
            self._rows[key, row.file] = row

    def done(self, key: str, name: str) -> Row | None:
        """Return what was saved of a recording, None if it must be done (again)."""
        row = self._rows.get((key, name))
        if row is None or not all(self._is_there(file, size) for file, size in row.files.items()):
            return None
        return row

    def _is_there(self, name: str, size: int) -> bool:
        path = self._output / name
        return path.is_file() and path.stat().st_size == size

    def add(self, key: str, row: Row) -> None:
        """Note that a recording is done and saved."""
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            begun = "" if file.tell() == 0 else "\n"  # ends half a line
            file.write(f"{begun}{json.dumps({'key': key, **asdict(row)}, ensure_ascii=False)}")


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
        self._stems: Counter[str] = Counter()

    def run(self, recordings: list[Recording], on_upload: Callable[[], None], on_row: Callable[[Row], None]) -> None:
        """Do all; `on_upload` when one has been sent or need not be, `on_row` when one has ended.

        Raises what keeps all of them from being done.
        """
        self._stems = Counter(_stem(one.name) for one in recordings)
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
        shown = [{**asdict(row), "files": list(row.files)} for row in rows]
        (self._output / "summary.csv").write_bytes(summary_csv(shown))
        (self._output / "summary.json").write_text(json.dumps(shown, ensure_ascii=False, indent=2), "utf-8")

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
        from app.client import ApiError

        key = self._key(recording)
        if (row := self._journal.done(key, recording.name)) is not None:
            self._events.put("uploaded")
            self._events.put(row)
            return
        try:
            job = self._job_of(recording, key)
        except ApiError as error:
            if error.status in FOR_ALL:
                raise
            self._events.put("uploaded")
            self._events.put(Row(recording.name, "refused", error=error.detail))
            return
        self._events.put("uploaded")
        self._waiting.put((recording, key, job))

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
                return self._client.stt(
                    (PurePosixPath(recording.name).name, recording.path), idempotency_key=key, **self._fields
                )
            except ApiError as error:
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
        row.seconds, row.language = job.output.duration_seconds, job.output.language or ""
        row.words = None if job.output.text is None else count_words(job.output.text)
        return row

    def _saved(self, recording: Recording, job: JobObject) -> dict[str, int]:
        """Save a transcript beside the place of its recording: `talks/a.wav` becomes `talks/a.txt`."""
        stem = _stem(recording.name)
        base = recording.name if self._stems[stem] > 1 else stem
        saved = {}
        with tempfile.TemporaryDirectory(dir=self._output / OWN_FOLDER) as folder:
            for file in job.output.files if job.output else []:
                name = f"{base}{PurePosixPath(file.name).suffix}"
                target = self._output / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(self._client.download(file, folder), target)
                saved[name] = target.stat().st_size
        return saved


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))
