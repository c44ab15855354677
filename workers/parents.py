"""What all jobs with children have in common: submitting the children, and looking at them when they are done."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from jobs.broker import QUEUE_OF, Broker
from jobs.ids import child_id
from jobs.ledger import Ledger, NewJob
from jobs.load import load_of
from jobs.queries import Queries
from jobs.record import Blob, Job, Output, Problem
from jobs.specs import JobOptions
from jobs.states import Kind, Status
from workers.session import JobFailed, Session

PAGE = 200
"""Children that are submitted or read at once."""
LISTED_FILES = 200
"""Most children whose files are listed in the parent's record; beyond that they are in the zip and in the children."""


@dataclass(frozen=True)
class Child:
    """A child to submit."""

    index: int
    kind: Kind
    spec: JobOptions
    inputs: tuple[Blob, ...] = ()
    metadata: dict[str, str] | None = None
    unit: str = ""
    total: int = 0
    """Units that it will have, as far as is known: its parent's progress is the sum."""


class Family:
    """Submits and reads the children of parents. Thread-safe."""

    def __init__(self, ledger: Ledger, queries: Queries, broker: Broker) -> None:
        self._ledger = ledger
        self._queries = queries
        self._broker = broker

    def submit(self, session: Session, children: Iterable[Child]) -> int:
        """Submit children and return how many. IDs are derived, so a repeated plan makes no second ones."""
        parent = session.job
        count = 0
        rest = iter(children)
        while portion := [_new_job(session, child) for child in islice(rest, PAGE)]:
            session.check()
            submitted = self._ledger.submit_many(portion)
            self._broker.send(one.delivery for one in submitted if one.delivery is not None)
            count += len(portion)
        if parent.attempt > 1:  # planned before, and cancelled or failed in the middle of it
            self._ledger.retry_children(parent.id, self._broker.send)
        return count

    def children(self, parent: Job) -> Iterator[Job]:
        """Yield the children in the order of their index."""
        after: str | None = None
        while True:
            page = self._queries.children(parent.id, after=after, limit=PAGE)
            yield from page.jobs
            after = page.next
            if after is None:
                return

    def verdict(self, session: Session, output: Output, *, strict: bool) -> Output:
        """Return the output if the parent succeeds: with at least one child, or with all of them if `strict`.

        Raises `JobFailed` otherwise. Failures are told as warnings.
        """
        counts = self._queries.count_children(session.job.id)
        failed = counts["failed"] + counts["canceled"]
        if failed and (strict or not counts["succeeded"]):
            first = next((c for c in self.children(session.job) if c.status is not Status.SUCCEEDED), None)
            why = (first.error or {}).get("detail", "cancelled") if first else ""
            raise JobFailed(
                "children_failed", "Parts of the job failed", f"{failed} of {counts['total']} failed; the first: {why}"
            )
        return output


def _new_job(session: Session, child: Child) -> NewJob:
    parent, own = session.job, child.spec.timeout_seconds
    left = own if session.deadline is None else min(own or math.inf, max(0.001, session.deadline - time.monotonic()))
    return NewJob(
        id=child_id(parent.id, child.index),
        kind=child.kind,
        queue=QUEUE_OF[child.kind],
        priority=child.spec.priority.step,
        owner=parent.owner,
        spec=child.spec.model_dump_json(exclude_none=True),
        inputs=[at_home(blob, parent.id) for blob in child.inputs],
        metadata=child.metadata or {},
        webhook=str(child.spec.webhook.url) if child.spec.webhook else "",
        parent=parent.id,
        index=child.index,
        unit=child.unit,
        total=child.total,
        timeout_seconds=left,
        **load_of(child.kind, getattr(child.spec, "text", None), child.inputs)._asdict(),
    )


def at_home(blob: Blob, job_id: str) -> Blob:
    """Return the blob with the name of the job in whose folder it lies, for use in another job's record."""
    return blob if blob.home else Blob(blob.key, blob.bytes, blob.name, blob.media_type, job_id)


def options_for(parent: Job, kind: type[JobOptions], **fields: Any) -> JobOptions:
    """Return the spec of a child: the parent's options that it shares, and `fields`."""
    shared = {
        name: value
        for name, value in parent.spec.items()
        if value is not None and name in kind.model_fields and name not in {"webhook", "metadata", "timeout_seconds"}
    }
    return kind.model_validate(shared | fields)


def problem_of(job: Job) -> Problem | None:
    """Return why a child did not succeed."""
    if job.status is Status.SUCCEEDED:
        return None
    if job.error:
        return Problem(**job.error)
    return Problem("canceled", "Cancelled", "the job was cancelled")


def as_json(value: Any) -> bytes:
    """Return indented JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()
