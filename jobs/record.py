"""A job as the ledger holds it, and as clients see it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from jobs.states import Kind, Phase, Status


@dataclass(frozen=True)
class Blob:
    """A file in the store: immutable, named by its content."""

    key: str
    """Name inside the job's folder: SHA-256 in hex."""
    bytes: int
    name: str = ""
    """What clients call it."""
    media_type: str = "application/octet-stream"
    home: str = ""
    """The job in whose folder it lies, when that is not the job that names it (a parent's upload, a child's result)."""

    @property
    def is_hidden(self) -> bool:
        """Whether it is for the program's own use: its name begins with a dot."""
        return self.name.startswith(".")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        found: dict[str, Any] = {
            "key": self.key,
            "bytes": self.bytes,
            "name": self.name,
            "media_type": self.media_type,
        }
        return {**found, "home": self.home} if self.home else found

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Blob:
        """Return the blob of a JSON object."""
        return cls(
            value["key"], value["bytes"], value.get("name", ""), value.get("media_type", ""), value.get("home", "")
        )


@dataclass(frozen=True)
class Problem:
    """Why a job failed, for people (`detail`) and programs (`type`)."""

    type: str
    title: str
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return a JSON object."""
        return {"type": self.type, "title": self.title, "detail": self.detail}


@dataclass(frozen=True)
class Warn:
    """Something that went wrong without failing the job."""

    code: str
    detail: str
    at: float | None = None
    """Seconds into the audio, or the index of the unit, where that makes sense."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        found: dict[str, Any] = {"code": self.code, "detail": self.detail}
        return found if self.at is None else {**found, "at": self.at}


MOST_WARNINGS = 100
"""Listed in a record, which is read at every look; what a parent's children have to tell is in its summary."""


def bounded(warnings: Iterable[Warn]) -> tuple[Warn, ...]:
    """Return the first of many warnings, and how many more there are."""
    rest = iter(warnings)
    first = tuple(islice(rest, MOST_WARNINGS))
    more = sum(1 for _ in rest)
    return (*first, Warn("more_warnings", f"{more} more are not listed")) if more else first


@dataclass(frozen=True)
class Output:
    """The result of a job."""

    files: tuple[Blob, ...] = ()
    text: str | None = None
    language: str | None = None
    duration_seconds: float | None = None
    warnings: tuple[Warn, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, without what is unknown."""
        known = {"text": self.text, "language": self.language, "duration_seconds": self.duration_seconds}
        return {
            **{name: value for name, value in known.items() if value is not None},
            "files": [blob.to_json() for blob in self.files],
            "warnings": [warning.to_json() for warning in self.warnings],
            **self.extra,
        }


def _seconds(milliseconds: str) -> float | None:
    return int(float(milliseconds)) / 1000 if milliseconds else None


@dataclass(frozen=True)
class Job:
    """A record of the ledger. Times are seconds since the epoch, by Redis' clock."""

    id: str
    kind: Kind
    status: Status
    queue: str
    owner: str
    attempt: int
    claim: str
    """Nonce of the claim by which a process has it in hand; empty: nobody has."""
    spec: dict[str, Any]
    inputs: tuple[Blob, ...]
    metadata: dict[str, str]
    output: dict[str, Any]
    error: dict[str, Any] | None
    done: int
    total: int
    unit: str
    created: float
    started: float | None
    finished: float | None
    expires: float | None
    begun: float | None
    running_seconds: float
    parent: str
    index: int
    phase: Phase
    alone: bool
    cancel: bool
    timeout_seconds: float | None
    version: int
    step: int
    sequence: str
    webhook: str
    priority: int
    deaths: int
    asked: float
    """When it was submitted or, later, retried."""
    idle_seconds: float
    """Time between an end and the retry after it."""

    @classmethod
    def parse(cls, raw: dict[str, str]) -> Job:
        """Return the job of a Redis hash."""
        return cls(
            id=raw["id"],
            kind=Kind(raw["kind"]),
            status=Status(raw["status"]),
            queue=raw["queue"],
            owner=raw["owner"],
            attempt=int(raw["attempt"]),
            claim=raw["claim"],
            spec=json.loads(raw["spec"]),
            inputs=tuple(Blob.from_json(blob) for blob in json.loads(raw["inputs"])),
            metadata=json.loads(raw["metadata"]),
            output=json.loads(raw["output"]) if raw["output"] else {},
            error=json.loads(raw["error"]) if raw["error"] else None,
            done=int(raw["done"]),
            total=int(raw["total"]),
            unit=raw["unit"],
            created=int(raw["created"]) / 1000,
            started=_seconds(raw["started"]),
            finished=_seconds(raw["finished"]),
            expires=_seconds(raw["expires"]),
            begun=_seconds(raw["begun"]),
            running_seconds=int(raw["running_ms"]) / 1000,
            parent=raw["parent"],
            index=int(raw["index"]),
            phase=Phase(raw["phase"]),
            alone=raw["alone"] == "1",
            cancel=raw["cancel"] == "1",
            timeout_seconds=_seconds(raw["timeout_ms"]),
            version=int(raw["version"]),
            step=int(raw["step"]),
            sequence=raw["token"],
            webhook=raw["webhook"],
            priority=int(raw["priority"]),
            deaths=int(raw["deaths"]),
            asked=int(raw.get("asked") or raw["created"]) / 1000,
            idle_seconds=int(raw.get("idle_ms") or 0) / 1000,
        )

    @property
    def deadline(self) -> float | None:
        """When a job with a timeout fails, in seconds since the epoch. A retry gives it the time once more."""
        return self.asked + self.timeout_seconds if self.timeout_seconds else None

    @property
    def output_files(self) -> tuple[Blob, ...]:
        """The files of the result, in order."""
        return tuple(Blob.from_json(blob) for blob in self.output.get("files", []))


def rfc3339(seconds: float | None) -> str | None:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
