"""Blobs of jobs: immutable, named by their content, visible only through the ledger.

A blob is written under a temporary name, flushed to the disk and renamed, so a reader sees all of it or nothing. Late
writers (a worker whose lease was taken) write the same content under the same name or something that no record names.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Protocol

from jobs.errors import JobsError, NotFound, StoreError
from jobs.ids import is_id
from jobs.record import Blob

CHUNK = 1024 * 1024
OWNER_MARK = ".owner"
"""Name of the file that says whose store it is."""
UNFINISHED = ".part-"
"""Beginning of the name of a file that is being written."""
SCRATCH_FULL = 64 * 1024
"""Free bytes below which whatever went wrong with a temporary file is taken for want of room."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
Source = bytes | Path | Iterable[bytes]
"""What can be stored: bytes, a file, or chunks (an upload)."""


class Store(Protocol):
    """Where blobs live. All methods are thread-safe and raise `StoreError` when the store fails."""

    def put(
        self, job_id: str, source: Source, *, name: str = "", media_type: str = "", max_bytes: int | None = None
    ) -> Blob:
        """Store a blob whole; raises `TooLarge` past `max_bytes` with nothing left behind."""
        ...

    def open(self, job_id: str, blob: Blob) -> IO[bytes]:
        """Open a blob for reading (seekable). Raises `NotFound`."""
        ...

    def path(self, job_id: str, blob: Blob) -> contextlib.AbstractContextManager[Path]:
        """Give the blob as a file of this host for as long as the context lasts. Raises `NotFound`."""
        ...

    def adopt(self, job_id: str, blob: Blob) -> Blob:
        """Make another job's blob (it names its home) one of this job, too: it stays when the other job goes.

        Raises `NotFound`. No bytes pass through this process where the store can help it.
        """
        ...

    def remove(self, job_id: str, keys: Iterable[str]) -> None:
        """Remove some blobs of a job, if they are there."""
        ...

    def remove_job(self, job_id: str) -> None:
        """Remove all that a job has."""
        ...

    def job_ids(self) -> Iterator[str]:
        """Yield the jobs that have anything in the store."""
        ...

    def blobs(self) -> Iterator[tuple[str, str]]:
        """Yield (job, key) of all that is in the store; what comes or goes meanwhile may be in it or not."""
        ...

    def remove_unfinished(self, older_than_seconds: float) -> int:
        """Remove what writers that died have left half-written in folders of jobs; answers how many files."""
        ...

    def owner(self, ledger: str) -> str:
        """Return the ledger whose files these are: `ledger`, unless another one has said so before."""
        ...


class TooLarge(Exception):
    """The source is longer than allowed."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"more than {max_bytes} bytes")
        self.max_bytes = max_bytes


def chunks_of(source: Source) -> Iterator[bytes]:
    """Yield the bytes of a source."""
    if isinstance(source, bytes):
        yield source
    elif isinstance(source, Path):
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    else:
        yield from source


def capped(chunks: Iterable[bytes], max_bytes: int | None) -> Iterator[bytes]:
    """Yield the chunks; raises `TooLarge` as soon as they pass `max_bytes`."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if max_bytes is not None and total > max_bytes:
            raise TooLarge(max_bytes)
        yield chunk


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder of this host that is removed at the end.

    Raises `StoreError` if its disk gets full: what libraries make of that (codecs, zip files) is hard to tell.
    """
    with as_store_error("making a temporary folder failed"):
        opened = tempfile.TemporaryDirectory(prefix="voxqueue-")
    with opened as folder:
        try:
            yield Path(folder)
        except JobsError:
            raise
        except Exception as error:
            if getattr(error, "errno", None) in FULL or shutil.disk_usage(folder).free < SCRATCH_FULL:
                raise StoreError(
                    "store_full", f"the disk of temporary files ({tempfile.gettempdir()}) is full"
                ) from error
            raise


@contextlib.contextmanager
def as_store_error(what: str) -> Iterator[None]:
    """Turn an error of the operating system into `StoreError`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StoreError("store_full", f"the disk is full: {what}") from error
        if error.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise StoreError("store_read_only", f"the store cannot be written: {what}") from error
        raise StoreError("store_failed", f"{what}: {error.strerror or error}") from error


class DiskStore:
    """Blobs in a folder: `root/SHARD/JOB/SHA256`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _folder(self, job_id: str) -> Path:
        if not is_id(job_id):
            raise NotFound("job_not_found", "that is no job ID")
        return self.root / job_id.partition(".")[0][-2:] / job_id

    def put(
        self, job_id: str, source: Source, *, name: str = "", media_type: str = "", max_bytes: int | None = None
    ) -> Blob:
        """See `Store.put`."""
        folder = self._folder(job_id)
        with as_store_error("writing a file of the job failed"):
            _make_folder(folder)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=UNFINISHED)
            try:
                digest, size = hashlib.sha256(), 0
                with os.fdopen(handle, "wb") as file:
                    for chunk in capped(chunks_of(source), max_bytes):
                        digest.update(chunk)
                        size += len(chunk)
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).rename(folder / digest.hexdigest())
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
                raise
            _sync_folder(folder)
        return Blob(digest.hexdigest(), size, name, media_type)

    def _file(self, job_id: str, blob: Blob) -> Path:
        file = self._folder(blob.home or job_id) / blob.key
        if not file.is_file():
            raise NotFound("file_gone", f"the file {blob.name or blob.key} is not there any more")
        return file

    def open(self, job_id: str, blob: Blob) -> IO[bytes]:
        """See `Store.open`."""
        with as_store_error("reading a file failed"):
            try:
                return self._file(job_id, blob).open("rb")
            except FileNotFoundError as error:  # removed since the look
                raise NotFound("file_gone", f"the file {blob.name or blob.key} is not there any more") from error

    @contextlib.contextmanager
    def path(self, job_id: str, blob: Blob) -> Iterator[Path]:
        """See `Store.path`."""
        yield self._file(job_id, blob)

    def adopt(self, job_id: str, blob: Blob) -> Blob:
        """See `Store.adopt`. A hard link: blobs are immutable, and the disk has the bytes once."""
        source, folder = self._file(job_id, blob), self._folder(job_id)
        with as_store_error("linking a file failed"):
            _make_folder(folder)
            try:
                (folder / blob.key).hardlink_to(source)
            except FileExistsError:
                return replace(blob, home="")
            except FileNotFoundError as error:  # removed since the look
                raise NotFound("file_gone", f"the file {blob.name or blob.key} is not there any more") from error
            except OSError as error:
                if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
                    raise
                return self.put(job_id, source, name=blob.name, media_type=blob.media_type)  # no links here
            _sync_folder(folder)
        return replace(blob, home="")

    def remove(self, job_id: str, keys: Iterable[str]) -> None:
        """See `Store.remove`."""
        folder = self._folder(job_id)
        with as_store_error("removing a file failed"):
            for key in keys:
                (folder / key).unlink(missing_ok=True)

    def remove_job(self, job_id: str) -> None:
        """See `Store.remove_job`."""
        with as_store_error("removing a job's files failed"), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._folder(job_id))

    def job_ids(self) -> Iterator[str]:
        """See `Store.job_ids`."""
        for folder in self.root.glob("??/*"):
            if is_id(folder.name):
                yield folder.name

    def blobs(self) -> Iterator[tuple[str, str]]:
        """See `Store.blobs`."""
        for job_id in self.job_ids():
            with contextlib.suppress(FileNotFoundError):
                yield from ((job_id, file.name) for file in self._folder(job_id).iterdir())

    def remove_unfinished(self, older_than_seconds: float) -> int:
        """See `Store.remove_unfinished`."""
        youngest, count = time.time() - older_than_seconds, 0
        with as_store_error("removing unfinished files failed"):
            for file in self.root.glob(f"??/*/{UNFINISHED}*"):
                with contextlib.suppress(FileNotFoundError):  # renamed, or gone with its job
                    if file.stat().st_mtime < youngest:
                        file.unlink()
                        count += 1
        return count

    def owner(self, ledger: str) -> str:
        """See `Store.owner`."""
        with as_store_error(f"marking {self.root} failed"):
            _make_folder(self.root)
            mark = self.root / OWNER_MARK
            with contextlib.suppress(FileExistsError), mark.open("x", encoding="ascii") as file:
                file.write(ledger)
            return mark.read_text("ascii") or ledger  # empty: whoever made it died, or is about to write


def _make_folder(folder: Path) -> None:
    """Make a folder whose name survives a crash of the host."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
