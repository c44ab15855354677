"""Answering a job with the kept result of identical work, where the client allows that.

Work is identical if all that decides the result is: the text or the recording's bytes, the options, the checkpoint's
bytes, and this program with the libraries that compute. Owners never see each other's: the owner is part of the key.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from redis import RedisError

from jobs.errors import JobsError
from jobs.record import Output
from jobs.reuse import KeptResults
from jobs.specs import JobOptions, Reuse, Source
from speech.errors import SpeechError
from workers.session import Session

log = logging.getLogger(__name__)
PROGRAM = (Path(__file__).parents[1] / "speech", Path(__file__).parent)
"""Models and signal, and what puts their sentences and chunks together."""
Work = Callable[[], Mapping[str, Any]]
"""Says all that decides a result, beside the spec."""


@dataclass(frozen=True)
class Reusing:
    """Knows what is kept. Thread-safe."""

    kept: KeptResults

    def answer(
        self,
        session: Session,
        spec: JobOptions,
        work: Work,
        make: Callable[[], Output],
        name: Callable[[str], str] = str,
    ) -> Output:
        """Return the kept result of the job's work, its files named by `name`; else `make` it, and keep it.

        Whatever is wrong with what is kept, the job is done.
        """
        if not (self.kept.max_bytes and getattr(spec, "reuse", False)):
            return make()
        try:
            key = _key(session, spec, work())
        except SpeechError:  # such as a model that there is not: doing the work says so
            return make()
        if (found := self._found(session, key)) is not None:
            return replace(found, files=tuple(replace(blob, name=name(blob.name)) for blob in found.files))
        output = make()
        self._keep(session, key, output)  # before the commit: who sees the job succeed may ask for the same at once
        return output

    def _found(self, session: Session, key: str) -> Output | None:
        try:
            if (kept := self.kept.find(key)) is None:
                return None
            output = self.kept.give(kept, session.job.id)
        except (JobsError, RedisError) as error:
            log.warning("job %s: a kept result could not be had, the work is done: %s", session.job.id, error)
            return None
        log.info("job %s: answered with the result of %s", session.job.id, kept.origin)
        total = max(1, session.job.total)
        session.progress(total, total, session.job.unit)
        return output

    def _keep(self, session: Session, key: str, output: Output) -> None:
        try:
            self.kept.keep(key, session.job, output)
        except (JobsError, RedisError) as error:  # the result is out; only a later job misses it
            log.warning("job %s: its result could not be kept: %s", session.job.id, error)


def _key(session: Session, spec: JobOptions, work: Mapping[str, Any]) -> str:
    beside = {*JobOptions.model_fields, *Reuse.model_fields, *Source.model_fields}
    job = session.job
    facts = [job.owner, job.kind.value, spec.model_dump(mode="json", exclude=beside), dict(work), _program()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def hash_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint(folder: Path) -> str:
    """Return a hash of all files of a model or voice. A folder is read again when a file's size or time changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return _hash_of_files(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in files), folder)


@functools.lru_cache(maxsize=64)
def _hash_of_files(files: tuple[tuple[Path, int, int], ...], folder: Path) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        digest.update(f"{path.relative_to(folder)}\0{hash_of_file(path)}\n".encode())
    return digest.hexdigest()


@functools.cache
def _program() -> str:
    """Return a hash of the code and the word lists that make results, and of what is installed beside them."""
    files = sorted((room, path) for room in PROGRAM for path in room.rglob("*") if path.is_file())
    listed = [f"{path.relative_to(room.parent)} {hash_of_file(path)}" for room, path in files if path.suffix != ".pyc"]
    installed = sorted(f"{found.name} {found.version}" for found in metadata.distributions())
    return hashlib.sha256("\n".join(listed + installed).encode()).hexdigest()
