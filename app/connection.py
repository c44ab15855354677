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
LONGEST_RESTART = 30.0
"""Seconds of pauses, in all, while a server that has answered before is away."""
LONGEST_PAUSE = 5.0
AWAY = frozenset({502, 503, 504})
"""What is answered in the place of a server, or by one whose ledger is not back yet."""
PASSING = frozenset({429}) | AWAY
TIMEOUT = httpx.Timeout(60, read=120)


class Connection:
    """What both clients have: the address, the key, and whether the server is known."""

    def __init__(self, url: str | None = None, key: str | None = None) -> None:
        self.url = (url or os.environ.get("VOXQUEUE_URL") or DEFAULT_URL).rstrip("/")
        key = key or os.environ.get("VOXQUEUE_API_KEY")
        self.options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": TIMEOUT,
        }
        self.answered = False

    def heard(self, answer: httpx.Response) -> None:
        """Note that the server itself has answered."""
        self.answered = self.answered or answer.status_code not in AWAY

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Return the error of a server that does not answer."""
        return Unreachable(f"{self.url} cannot be reached: {error or type(error).__name__}")


class Tries:
    """How often a call is made. What a restart brings and all else are counted each by itself."""

    def __init__(self, connection: Connection, call: Call) -> None:
        self._connection = connection
        self._call = call
        self._restarting = 0
        self._other = 0
        self._waited = 0.0

    def pause(self, failure: httpx.Response | httpx.TransportError) -> float | None:
        """Return the seconds until the next try, None if there is to be none."""
        if not self._call.repeatable or (isinstance(failure, httpx.Response) and failure.status_code not in PASSING):
            return None
        told = failure.headers.get("Retry-After", "") if isinstance(failure, httpx.Response) else ""
        if self._connection.answered and _is_away(failure):
            if self._waited >= LONGEST_RESTART:
                return None
            pause = min(max(_growing(self._restarting), float(told) if told.isdigit() else 0), LONGEST_PAUSE)
            self._restarting += 1
            self._waited += pause
            return pause
        self._other += 1
        if self._other >= TRIES:
            return None
        return float(told) if told.isdigit() else _growing(self._other - 1)


def _is_away(failure: httpx.Response | httpx.TransportError) -> bool:
    """Return whether a server that restarts fails so; one that is silent for minutes does not restart."""
    if isinstance(failure, httpx.Response):
        return failure.status_code in AWAY
    return isinstance(failure, (httpx.NetworkError, httpx.RemoteProtocolError))


def _growing(number: int) -> float:
    return min(0.25 * 2.0**number, LONGEST_PAUSE)


def succeeded(job: JobObject) -> JobObject:
    """Return a job that has succeeded. Raises `JobFailed`."""
    if job.status != "succeeded":
        raise JobFailed(job)
    return job
