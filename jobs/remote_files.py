"""Stores that are not a local folder: Redis itself for small results, and whatever fsspec reaches."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from redis import RedisError

from jobs.connect import RedisClient, connect
from jobs.errors import JobsError, NotFound, StoreError
from jobs.files import CHUNK, OWNER_MARK, DiskStore, Source, Store, as_store_error, capped, chunks_of, scratch
from jobs.ids import is_id
from jobs.ledger import PREFIX
from jobs.record import Blob
from jobs.settings import Settings

OPTIONS: dict[str, dict[str, Any]] = {
    "file": {"auto_mkdir": True},
    "s3": {
        # botocore's own minute for each of five tries is more than a request can wait.
        "config_kwargs": {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}},
        # What is read ahead of every range; s3fs would fetch 50 MB for the first byte.
        "default_block_size": 4 * CHUNK,
    },
}
"""Of some schemes, beside what their own variables say (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …)."""


class RedisStore:
    """Blobs as fields of one Redis hash per job, each up to a cap.

    None expires by itself: a job may wait for longer than any time to live. They go as files on a disk do.
    """

    def __init__(self, redis: RedisClient, *, max_blob_bytes: int) -> None:
        self._redis = redis
        self._max_blob_bytes = max_blob_bytes

    @staticmethod
    def _key(job_id: str) -> str:
        return f"{PREFIX}blobs:{job_id}"

    def put(
        self, job_id: str, source: Source, *, name: str = "", media_type: str = "", max_bytes: int | None = None
    ) -> Blob:
        """See `Store.put`. Raises `StoreError` past the store's own cap."""
        data = b"".join(capped(chunks_of(source), max_bytes))
        if len(data) > self._max_blob_bytes:
            raise StoreError(
                "too_large_for_redis",
                f"{name or 'a blob'} has {len(data)} bytes, over VOXQUEUE_REDIS_BLOB_BYTES={self._max_blob_bytes}; "
                "use VOXQUEUE_RESULTS=disk",
            )
        digest = hashlib.sha256(data).hexdigest()
        with _redis_errors(), self._redis.pipeline() as pipe:
            pipe.hset(self._key(job_id), digest, data)
            pipe.persist(self._key(job_id))  # older versions let it expire, and HSET leaves that as it is
            pipe.execute()
        return Blob(digest, len(data), name, media_type)

    def open(self, job_id: str, blob: Blob) -> IO[bytes]:
        """See `Store.open`."""
        with _redis_errors():
            data = self._redis.hget(self._key(blob.home or job_id), blob.key)
        if data is None:
            raise NotFound("file_gone", f"the file {blob.name or blob.key} is not there any more")
        return io.BytesIO(data)

    @contextlib.contextmanager
    def path(self, job_id: str, blob: Blob) -> Iterator[Path]:
        """See `Store.path`."""
        with self.open(job_id, blob) as source, _copied(source, blob) as path:
            yield path

    def adopt(self, job_id: str, blob: Blob) -> Blob:
        """See `Store.adopt`."""
        with self.open(job_id, blob) as source:
            return self.put(job_id, source.read(), name=blob.name, media_type=blob.media_type)

    def remove(self, job_id: str, keys: Iterable[str]) -> None:
        """See `Store.remove`."""
        doomed = list(keys)
        if doomed:
            with _redis_errors():
                self._redis.hdel(self._key(job_id), *doomed)

    def remove_job(self, job_id: str) -> None:
        """See `Store.remove_job`."""
        with _redis_errors():
            self._redis.unlink(self._key(job_id))

    def job_ids(self) -> Iterator[str]:
        """See `Store.job_ids`."""
        prefix = self._key("")
        for key in self._redis.scan_iter(match=f"{prefix}*", count=1000):
            yield (key.decode() if isinstance(key, bytes) else key).removeprefix(prefix)

    def blobs(self) -> Iterator[tuple[str, str]]:
        """See `Store.blobs`."""
        for job_id in self.job_ids():
            with _redis_errors():
                names = self._redis.hkeys(self._key(job_id))
            yield from ((job_id, name.decode() if isinstance(name, bytes) else name) for name in names)

    def remove_unfinished(self, older_than_seconds: float) -> int:  # noqa: ARG002 - the stores' signature
        """See `Store.remove_unfinished`. A blob is written by one command."""
        return 0

    def owner(self, ledger: str) -> str:
        """See `Store.owner`. They are in the ledger's own database."""
        return ledger


class FsspecStore:
    """Blobs under any URL that fsspec knows (`s3://bucket/prefix`, `memory://…`).

    An object appears whole or not at all: S3 and its like publish it with the last byte. Its name is the hash of its
    content, so one of the right size need not be written again, and is never written over by half of itself.
    """

    def __init__(self, url: str, **options: Any) -> None:
        import fsspec

        scheme = url.partition(":")[0]
        # Other processes write, too: a listing that was kept would hide what they wrote.
        options = {"use_listings_cache": False} | OPTIONS.get(scheme, {}) | options
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        except (ImportError, ValueError) as error:  # no such scheme, or its package is not installed
            raise StoreError("store_unknown", f"VOXQUEUE_RESULTS={url}: {error}") from error

    def _folder(self, job_id: str) -> str:
        if not is_id(job_id):
            raise NotFound("job_not_found", "that is no job ID")
        return f"{self._root}/{job_id.partition('.')[0][-2:]}/{job_id}"

    def put(
        self, job_id: str, source: Source, *, name: str = "", media_type: str = "", max_bytes: int | None = None
    ) -> Blob:
        """See `Store.put`. Spooled on this host first: an object's name is the hash of its content."""
        folder = self._folder(job_id)
        digest, size = hashlib.sha256(), 0
        with as_store_error("spooling a file failed"), tempfile.NamedTemporaryFile(prefix="voxqueue-") as spool:
            for chunk in capped(chunks_of(source), max_bytes):
                digest.update(chunk)
                size += len(chunk)
                spool.write(chunk)
            spool.flush()
            with self._errors():
                path = f"{folder}/{digest.hexdigest()}"
                if not self._is_there(path, size):
                    self._fs.put_file(spool.name, path)
        return Blob(digest.hexdigest(), size, name, media_type)

    def _is_there(self, path: str, size: int) -> bool:
        try:
            return int(self._fs.size(path) or 0) == size
        except FileNotFoundError:
            return False

    def open(self, job_id: str, blob: Blob) -> IO[bytes]:
        """See `Store.open`. Read in pieces as they are asked for."""
        with self._errors(blob):
            opened = self._fs.open(f"{self._folder(blob.home or job_id)}/{blob.key}", "rb")
            return io.BufferedReader(_ObjectReader(opened, lambda: self._errors(blob)), CHUNK)

    @contextlib.contextmanager
    def path(self, job_id: str, blob: Blob) -> Iterator[Path]:
        """See `Store.path`."""
        with self.open(job_id, blob) as source, _copied(source, blob) as path:
            yield path

    def adopt(self, job_id: str, blob: Blob) -> Blob:
        """See `Store.adopt`. The object store copies by itself."""
        target = f"{self._folder(job_id)}/{blob.key}"
        with self._errors(blob):
            if not self._is_there(target, blob.bytes):
                self._fs.cp_file(f"{self._folder(blob.home or job_id)}/{blob.key}", target)
        return replace(blob, home="")

    def remove(self, job_id: str, keys: Iterable[str]) -> None:
        """See `Store.remove`."""
        for key in keys:
            with self._errors(), contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(f"{self._folder(job_id)}/{key}")

    def remove_job(self, job_id: str) -> None:
        """See `Store.remove_job`."""
        with self._errors(), contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._folder(job_id), recursive=True)

    def job_ids(self) -> Iterator[str]:
        """See `Store.job_ids`. A listing for each shard: their objects are not looked at."""
        for shard in self._names(self._root):
            yield from (name for name in self._names(f"{self._root}/{shard}") if is_id(name))

    def blobs(self) -> Iterator[tuple[str, str]]:
        """See `Store.blobs`. A listing for each thousand objects."""
        for shard in (name for name in self._names(self._root) if name != OWNER_MARK):
            with self._errors():
                paths = self._fs.find(f"{self._root}/{shard}")
            for path in paths:
                job_id, name = path.split("/")[-2:]
                if is_id(job_id):
                    yield job_id, name

    def remove_unfinished(self, older_than_seconds: float) -> int:  # noqa: ARG002 - the stores' signature
        """See `Store.remove_unfinished`. Uploads that broke off are the store's to forget (S3: a lifecycle rule)."""
        return 0

    def owner(self, ledger: str) -> str:
        """See `Store.owner`. Of two that ask first at the same moment, the later one finds out at its next look."""
        mark = f"{self._root}/{OWNER_MARK}"
        with self._errors():
            try:
                return str(self._fs.cat_file(mark).decode("ascii"))
            except FileNotFoundError:
                self._fs.pipe_file(mark, ledger.encode("ascii"))
                return ledger

    def _names(self, folder: str) -> list[str]:
        with self._errors():
            try:
                found = self._fs.ls(folder, detail=False)
            except FileNotFoundError:
                return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    @contextlib.contextmanager
    def _errors(self, blob: Blob | None = None) -> Iterator[None]:
        """Name failures of the store as such. A missing object is `NotFound` for a reader, a missing bucket is not."""
        try:
            yield
        except JobsError:
            raise
        except Exception as error:  # every fsspec backend has its own exceptions
            if isinstance(error, FileNotFoundError) and blob is not None:
                raise NotFound("file_gone", f"the file {blob.name or blob.key} is not there any more") from error
            detail = f"the object store {self._root} failed: {type(error).__name__}: {error}"
            raise StoreError("store_failed", detail) from error


class _ObjectReader(io.RawIOBase):
    """An object as a file whose failures are the store's."""

    def __init__(self, opened: IO[bytes], errors: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._opened = opened
        self._errors = errors

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._errors():
            return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def readinto(self, buffer: Any) -> int:
        with self._errors():
            data = self._opened.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._opened.close()
        super().close()


@contextlib.contextmanager
def _copied(source: IO[bytes], blob: Blob) -> Iterator[Path]:
    with scratch() as folder:
        path = folder / blob.key
        with path.open("wb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
        yield path


@contextlib.contextmanager
def _redis_errors() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise StoreError("store_failed", f"Redis failed: {error}") from error


def store_of(settings: Settings, redis_bytes: RedisClient | None = None) -> Store:
    """Return the store that `VOXQUEUE_RESULTS` names; `redis_bytes` is a client that does not decode."""
    if settings.results == "disk":
        return DiskStore(settings.blobs_dir)
    if settings.results == "redis":
        client = redis_bytes or connect(settings.redis_url, decode=False)
        return RedisStore(client, max_blob_bytes=settings.redis_blob_bytes)
    return FsspecStore(settings.results)
