"""The states of a job and the moves between them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What a client sees."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended (it may still be retried)."""
        return self in TERMINAL


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED})

MOVES: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.RUNNING, Status.CANCELED}),
    # Back to queued: a released slice, a drain, or a worker that died.
    Status.RUNNING: frozenset({Status.QUEUED, Status.SUCCEEDED, Status.FAILED, Status.CANCELED}),
    # Retry. A parent that succeeded with failed children runs again for these. Failed: its files are lost.
    Status.SUCCEEDED: frozenset({Status.RUNNING, Status.FAILED}),
    Status.FAILED: frozenset({Status.QUEUED, Status.RUNNING}),
    Status.CANCELED: frozenset({Status.QUEUED, Status.RUNNING}),
}


class Kind(StrEnum):
    """What a job does."""

    TTS = "tts"
    STT = "stt"
    AUDIOBOOK = "audiobook"
    TRANSCRIPTS = "transcripts"
    BATCH = "batch"
    CHAPTER = "chapter"

    @property
    def is_parent(self) -> bool:
        """Whether the work is done by children."""
        return self in PARENTS


PARENTS = frozenset({Kind.AUDIOBOOK, Kind.TRANSCRIPTS, Kind.BATCH})


class Phase(StrEnum):
    """Where a parent is."""

    NONE = ""
    PLANNING = "planning"
    WAITING = "waiting"
    RETRYING = "retrying"
    ASSEMBLING = "assembling"


class Priority(StrEnum):
    """Urgency as a client says it."""

    INTERACTIVE = "interactive"
    NORMAL = "normal"
    BULK = "bulk"

    @property
    def step(self) -> int:
        """The broker's priority (0 is the highest); the step above each is the front of its line."""
        return {Priority.INTERACTIVE: 1, Priority.NORMAL: 4, Priority.BULK: 7}[self]
