"""Waiting for a job on behalf of a client that is on the line; one that hangs up for good cancels its job."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Self

from flask import request
from redis import RedisError

from app.access import identity
from app.problems import Refusal
from app.services import Services, services
from jobs.errors import JobsError
from jobs.events import wait_until_terminal
from jobs.record import Job
from jobs.states import Status

LOOK_SECONDS = 1.0
"""How often it is looked whether the client is still there."""
OURS = frozenset({"internal_error", "worker_died", "store_failed", "store_full", "store_read_only"})
"""Reasons of a failure that are no fault of the request."""


@dataclass(frozen=True)
class Caller:
    """A client that waits for its job. Usable after its request's context, while the answer is streamed."""

    services: Services
    owner: str | None
    connection: Any
    """The socket, where the web server tells it."""
    may_return: bool
    """Whether it gave its request an `Idempotency-Key`: then it, or another one, may come back for the same job."""

    @classmethod
    def of_request(cls) -> Self:
        """Return the caller of this request."""
        services().announcements.start()
        connection = request.environ.get("gunicorn.socket")
        return cls(services(), identity().sees, connection, "Idempotency-Key" in request.headers)

    def looks(self, job_id: str, *, cancel: bool = True) -> Generator[Job]:
        """Yield the job every `LOOK_SECONDS` and when it has ended; cancel it if the iteration is left before."""
        ended = False
        try:
            while not ended:
                found = self.services
                job = wait_until_terminal(found.queries, found.announcements, job_id, LOOK_SECONDS, self.owner)
                ended = job.status.is_terminal
                yield job
        finally:
            if cancel and not ended:
                self.cancel(job_id)

    def wait(self, job_id: str) -> Job:
        """Return the job that has succeeded; it is canceled if the client goes. Raises `Refusal` if it has not."""
        return succeeded(self.until_end(job_id, cancel=True))

    def until_end(self, job_id: str, *, cancel: bool = False) -> Job:
        """Return the job when it has ended. Raises `Refusal` when the client has gone."""
        with contextlib.closing(self.looks(job_id, cancel=cancel)) as looks:
            for job in looks:
                if job.status.is_terminal:
                    return job
                if not self.is_there():
                    raise Refusal(408, "client_gone", "the client has hung up")
        raise AssertionError("the looks end with the job")

    def cancel(self, job_id: str) -> None:
        """Cancel the job if it has not ended and nobody may return for it."""
        if self.may_return:
            return
        with contextlib.suppress(JobsError, RedisError):
            self.services.broker.send(self.services.ledger.cancel(job_id))

    def is_there(self) -> bool:
        """Whether the client has not hung up, as far as the socket tells."""
        if self.connection is None:
            return True
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return not readable or self.connection.recv(1, socket.MSG_PEEK) != b""
        except (OSError, ValueError):
            return False


def succeeded(job: Job) -> Job:
    """Return a job that has succeeded. Raises `Refusal` with the reason if it has not."""
    if job.status is Status.SUCCEEDED:
        return job
    error = job.error or {"type": str(job.status), "detail": f"the job is {job.status}"}
    status = 500 if error["type"] in OURS else 409 if job.status is Status.CANCELED else 400
    raise Refusal(status, error["type"], error["detail"])
