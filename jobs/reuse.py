"""Results kept to answer identical work. Each has its files in the store under an ID of its own, bounded in all.

A kept result depends on no job: the origin may expire. What is answered from it are the answered job's own files, so it
may leave at any time, too. When the origin is deleted by its owner, what was kept of it goes with it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from jobs.connect import RedisClient
from jobs.errors import JobsError, NotFound
from jobs.files import Store
from jobs.ids import new_id
from jobs.record import Blob, Job, Output, Warn

PORTION = 200
"""Results that one call of the script touches at most."""
SHOWN = {"text", "language", "duration_seconds", "files", "warnings"}


@functools.cache
def _source() -> str:
    return resources.files("jobs").joinpath("reuse.lua").read_text("utf-8")


@dataclass(frozen=True)
class Kept:
    """A result that was found; `output` as a record has it, its files under `home`."""

    key: str
    home: str
    origin: str
    output: dict[str, Any]


class KeptResults:
    """The kept results of one Redis database and one store. Thread-safe. `max_bytes` 0: nothing is kept."""

    def __init__(self, redis: RedisClient, store: Store, max_bytes: int) -> None:
        self._script = redis.register_script(_source())
        self._store = store
        self.max_bytes = max_bytes

    def _call(self, function: str, **arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._script(args=[function, json.dumps(arguments, ensure_ascii=False)]))
        return found

    def find(self, key: str) -> Kept | None:
        """Return what is kept for a key; it will not leave soon."""
        found = self._call("find", key=key)
        return Kept(key, found["home"], found["origin"], json.loads(found["output"])) if found else None

    def give(self, kept: Kept, job_id: str) -> Output:
        """Return a kept result as the output of a job, with files of its own.

        Raises `NotFound` if the files are gone, after which nothing is kept for the key.
        """
        try:
            blobs = [replace(Blob.from_json(file), home=kept.home) for file in kept.output["files"]]
            files = [self._store.adopt(job_id, blob) for blob in blobs]
        except NotFound:
            self._call("drop", key=kept.key, home=kept.home)
            raise
        known = kept.output
        return Output(
            files=tuple(files),
            text=known.get("text"),
            language=known.get("language"),
            duration_seconds=known.get("duration_seconds"),
            warnings=tuple(Warn(one["code"], one["detail"], one.get("at")) for one in known["warnings"]),
            extra={name: value for name, value in known.items() if name not in SHOWN} | {"reused": kept.origin},
        )

    def keep(self, key: str, job: Job, output: Output) -> bool:
        """Keep the result of a job, if it fits and the job was not deleted meanwhile.

        Whoever dies here leaves files without a record, which the sweeper finds.
        """
        written = json.dumps(output.to_json())
        size = sum(blob.bytes for blob in output.files) + len(written)
        if size > self.max_bytes:
            return False
        home = new_id()
        try:
            for blob in output.files:
                self._store.adopt(home, replace(blob, home=job.id))
            kept = bool(self._call("keep", key=key, home=home, origin=job.id, bytes=size, output=written)["kept"])
        except JobsError:
            self._store.remove_job(home)
            raise
        if not kept:  # another job with the same work was faster
            self._store.remove_job(home)
        self.trim()
        return kept

    def trim(self) -> None:
        """Let the least recently used leave until the rest fits."""
        while self._call("trim", max_bytes=self.max_bytes, portion=PORTION)["more"]:
            pass

    def forget(self, job_id: str) -> None:
        """Let all leave that a deleted job or its children has left."""
        while self._call("forget", job=job_id, portion=PORTION)["more"]:
            pass
