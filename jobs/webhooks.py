"""Webhooks: what is sent when a job has ended, how it is signed, and when it is sent again.

Signed as Standard Webhooks (https://www.standardwebhooks.com) say: `webhook-id`, `webhook-timestamp` and
`webhook-signature`. The body has the job's ID and status only; the receiver fetches the rest.
"""

from __future__ import annotations

import base64
import json
import random
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from jobs.answers import DueCall
from jobs.connect import RedisClient
from jobs.errors import Conflict, NotFound
from jobs.ledger import PORTION, PREFIX, Ledger
from jobs.queries import Queries
from jobs.record import Job, rfc3339
from jobs.settings import Settings
from jobs.urls import FetchError, post

PAUSES = (5, 30, 120, 600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600)
"""Seconds before each further call: some 16 hours in all, so that a night's outage is survived."""
PUT_OFF_SECONDS = 60
"""After so long a call whose message was lost, or whose caller died, is asked for again."""
KEPT_CALLS = 20
GONE = 410
"""The receiver wants no more."""


@dataclass(frozen=True)
class Call:
    """One call of a webhook: when, which try since the job's end it was, and the status or what went wrong."""

    at: str
    attempt: int
    status: int | None
    error: str | None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.status is not None and 200 <= self.status < 300


class Webhooks:
    """Calls webhooks and keeps account. Thread-safe."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._redis: RedisClient = ledger.redis
        self._queries = Queries(ledger.redis)
        self._settings = settings
        # The same threads plan and assemble books: receivers that never answer must not hold all of them.
        self._room = threading.Semaphore(max(1, settings.cpu_task_threads // 2))
        self._waiting: dict[str, int] = {}
        self._lock = threading.Lock()

    def secret(self) -> str:
        """Return the signing secret: the configured one, or one that is made once for this ledger."""
        if self._settings.webhook_secret:
            return self._settings.webhook_secret
        made = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self._redis.set(f"{PREFIX}webhook_secret", made, nx=True)
        return str(self._redis.get(f"{PREFIX}webhook_secret"))

    def due(self) -> list[DueCall]:
        """Return the calls that are to be made now; they are due again later unless `call` says otherwise."""
        return self._ledger.webhooks_due(PORTION, PUT_OFF_SECONDS)

    def calls(self, job_id: str) -> list[dict[str, Any]]:
        """Return the calls that were made, oldest first."""
        return [json.loads(call) for call in self._redis.lrange(f"{PREFIX}calls:{job_id}", 0, -1)]

    def calls_to_make(self, job_id: str, number: int) -> Iterator[tuple[str, int]]:
        """Yield the calls this thread is to make: the one it was sent for, then those others handed over meanwhile.

        Yields nothing while half of the threads are calling: one of them makes this call, too. What none of them comes
        to is due again.
        """
        with self._lock:
            self._waiting[job_id] = number
        while self._waiting and self._room.acquire(blocking=False):
            try:
                if first := self._first_waiting():
                    yield first
            finally:
                self._room.release()

    def _first_waiting(self) -> tuple[str, int] | None:
        with self._lock:
            for job_id in self._waiting:
                return job_id, self._waiting.pop(job_id)
        return None

    def call(self, job_id: str, number: int) -> Call | None:
        """Make a call that is due, and note what came of it. None: it is made already, or the job is gone."""
        try:
            job = self._queries.get(job_id)  # before `webhook_begin`: it tells whether this end is still the last one
        except NotFound:
            return None
        begun = self._ledger.webhook_begin(job_id, number, PUT_OFF_SECONDS)
        if begun is None:
            return None
        number, attempt = begun
        body = self._body(job)
        try:
            status, error = post(job.webhook, self._settings, body, self._headers(job, body)), None
        except FetchError as failure:
            status, error = None, failure.detail
        made = Call(_now(), attempt, status, error)
        self._ledger.webhook_called(job.id, number, json.dumps(asdict(made)), _pause_after(made), KEPT_CALLS)
        return made

    def call_again(self, job_id: str) -> None:
        """Make the webhook due again, at the wish of a client. Raises `NotFound` or `Conflict`."""
        match self._ledger.webhook_again(job_id):
            case "gone":
                raise NotFound("job_not_found", f"there is no job {job_id}")
            case "none":
                raise Conflict("no_webhook", "the job has no webhook")
            case outcome if outcome != "due":
                raise Conflict("wrong_state", f"the job is {outcome}; its webhook is called when it has ended")

    def _body(self, job: Job) -> bytes:
        data = {"id": job.id, "kind": job.kind.value, "status": job.status.value, "metadata": job.metadata}
        event = {"type": f"job.{job.status.value}", "timestamp": rfc3339(job.finished), "data": data}
        return json.dumps(event, ensure_ascii=False).encode()

    def _headers(self, job: Job, body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        message_id = f"{job.id}-{int(job.finished or time.time())}"  # a retried job ends a second time
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret()).sign(message_id, now, body.decode()),
            "content-type": "application/json",
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _pause_after(call: Call) -> float:
    """Return the seconds until the next call, with jitter; 0 for none."""
    if call.is_delivered or call.status == GONE or call.attempt > len(PAUSES):
        return 0
    return PAUSES[call.attempt - 1] * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
