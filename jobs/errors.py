"""What the ledger and the file store refuse, in words that may reach a client."""

from __future__ import annotations


class JobsError(Exception):
    """Base of all refusals of this room. `code` is stable and snake_case, `detail` is for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class NotFound(JobsError):
    """No such job, file or voice, or not one of this owner's."""


class Conflict(JobsError):
    """The job's state, or an idempotency key used with another content, forbids it."""


class QueueFull(JobsError):
    """Too many jobs wait; try again later."""


class LeaseLost(JobsError):
    """The claim is no longer held: another process has the job, or it has ended or was deleted. Write nothing more."""


class StoreError(JobsError):
    """The file store failed (disk full, read-only, unreachable); worth another try later."""


class SchemaMismatch(JobsError):
    """The ledger in Redis was written by another schema version."""
