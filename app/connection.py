"""What both Python clients have: the address, the key, and when a call is made again."""

from __future__ import annotations

import os
from typing import Any

import httpx

from app.calls import Call, JobFailed, Unreachable
from app.schemas import JobObject

DEFAULT_URL = "http://127.0.0.1:8000"
LONGEST_WAIT = 50.0
"""Of one long poll; the server takes up to 60 s."""
TRIES = 4
TRIES_OF_A_RESTART = 11
"""While connections are refused by a server that has answered before: half a minute."""
LONGEST_PAUSE = 5.0
PASSING = frozenset({429, 502, 503, 504})
TIMEOUT = httpx.Timeout(60, read=120)


class Connection:
    """What both clients have: the address, the key, and the pauses between tries."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self.url = (url or os.environ.get("VOXQUEUE_URL") or DEFAULT_URL).rstrip("/")
        key = key or os.environ.get("VOXQUEUE_API_KEY")
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": TIMEOUT,
        }
        self.answered = False

    def pause(self, call: Call, number: int, failure: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds until the next try, None if there is to be none."""
        restarts = self.answered and isinstance(failure, httpx.ConnectError)
        if number + 1 >= (TRIES_OF_A_RESTART if restarts else TRIES) or not call.repeatable:
            return None
        told = ""
        if isinstance(failure, httpx.Response):
            if failure.status_code not in PASSING:
                return None
            told = failure.headers.get("Retry-After", "")
        return float(told) if told.isdigit() else min(0.25 * 2**number, LONGEST_PAUSE)

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Return the error of a server that does not answer."""
        return Unreachable(f"{self.url} cannot be reached: {error or type(error).__name__}")


def succeeded(job: JobObject) -> JobObject:
    """Return a job that has succeeded. Raises `JobFailed`."""
    if job.status != "succeeded":
        raise JobFailed(job)
    return job
