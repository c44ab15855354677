"""What goes into the ledger and what comes out of it: new jobs, deliveries, claims, findings of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.record import Blob, Job
from jobs.states import Kind, Phase


@dataclass(frozen=True)
class Delivery:
    """A Celery message that is due."""

    id: str
    kind: Kind
    phase: Phase
    queue: str
    step: int
    sequence: int

    @classmethod
    def parse(cls, raw: dict[str, Any] | None) -> Delivery | None:
        """Return the delivery of a script's answer, None if it names none."""
        if not raw or raw.get("sequence") is None:
            return None
        return cls(
            raw["id"],
            Kind(raw["kind"]),
            Phase(raw["phase"]),
            raw["queue"],
            int(raw["step"]),
            int(raw["sequence"]),
        )


@dataclass(frozen=True)
class Limits:
    """How much may wait, 0: any. Jobs count while they are queued, what they are to do until they have ended."""

    queued: int = 0
    """Jobs."""
    characters: int = 0
    """To be spoken."""
    seconds: int = 0
    """To be heard."""


NO_LIMITS = Limits()


@dataclass(frozen=True)
class NewJob:
    """What `Ledger.submit` writes down."""

    id: str
    kind: Kind
    queue: str
    priority: int
    owner: str
    spec: str
    """JSON of the validated spec."""
    inputs: Sequence[Blob] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: str = ""
    parent: str = ""
    index: int = 0
    phase: Phase = Phase.NONE
    unit: str = ""
    total: int = 0
    characters: int = 0
    """To be spoken, as far as is known; of a parent until its children are there."""
    seconds: int = 0
    """To be heard, likewise."""
    sums: bool = False
    """A parent whose progress is the sum of its children's."""
    timeout_seconds: float | None = None
    ttl_seconds: float = 7 * 24 * 3600
    idempotency_key: str = ""
    fingerprint: str = ""
    """Hash of the request; the same key with another one is a conflict."""


@dataclass(frozen=True)
class Submitted:
    """Answer of `Ledger.submit`: the job's ID (an earlier one's if the key was used), and the message to send."""

    id: str
    created: bool
    delivery: Delivery | None
    job: Job | None = None
    """The record, if it was asked for and the job is new."""
    queue_position: int | None = None
    """Deliveries before this one; comes with `job`."""


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, fenced by its attempt."""

    job: Job
    seconds_left: float | None = None
    """Until the job's deadline, when it was claimed and by Redis' clock: hosts' clocks differ. None: it has none."""

    @property
    def id(self) -> str:
        """The job's ID."""
        return self.job.id

    @property
    def attempt(self) -> int:
        """The fence: a later attempt invalidates this claim."""
        return self.job.attempt

    @property
    def nonce(self) -> str:
        """What tells this claim from another one with the same attempt, made after Redis had forgotten this one."""
        return self.job.claim


@dataclass(frozen=True)
class Refusal:
    """Why a delivery is to be dropped: gone, stale, held, canceled, succeeded or failed."""

    why: str
    wake: Delivery | None = None


@dataclass(frozen=True)
class DueCall:
    """A webhook that is to be called."""

    id: str
    """The job's."""
    number: int
    """Which of its calls: it is made once, however many messages ask for it."""
    sequence: int
    """Newer than that of any delivery so far."""


Signal = Literal["go", "yield", "cancel", "lost"]


@dataclass(frozen=True)
class Renewal:
    """Signals for each job, and the most urgent step at which work waits in each queue."""

    signals: dict[str, Signal]
    urgent: dict[str, int]


@dataclass(frozen=True)
class Recovery:
    """What a sweep found: deliveries to send, jobs condemned, and whether it held back (grace after an outage)."""

    deliveries: list[Delivery]
    condemned: list[str]
    grace: bool
    broken: dict[str, str]
    """Jobs whose record makes no sense, and why."""
