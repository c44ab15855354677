"""What both Python clients have: the address, the key, and when a call is made again."""

from __future__ import annotations

import os
from typing import Any

import httpx

from app import calls
from app.calls import Call, JobFailed, Unreachable
from app.schemas import JobObject

DEFAULT_URL = "http://127.0.0.1:8000"
LONGEST_WAIT = 50.0
"""Of one long poll; the server takes up to 60 s."""
TRIES = 4
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

    def pause(self, call: Call, number: int, answer: httpx.Response | None) -> float | None:
        """Return the seconds until the next try, None if there is to be none."""
        if number + 1 >= TRIES or not call.repeatable or (answer is not None and answer.status_code not in PASSING):
            return None
        told = answer.headers.get("Retry-After", "") if answer is not None else ""
        return float(told) if told.isdigit() else 0.25 * 2**number

    def unreachable(self, error: httpx.TransportError) -> Unreachable:
        """Return the error of a server that does not answer."""
        return Unreachable(f"{self.url} cannot be reached: {error or type(error).__name__}")


def checked(answer: httpx.Response) -> httpx.Response:
    """Return an answer that is none of an error. Raises `ApiError`."""
    if answer.is_error:
        raise calls.problem_of(answer)
    return answer


def succeeded(job: JobObject) -> JobObject:
    """Return a job that has succeeded. Raises `JobFailed`."""
    if job.status != "succeeded":
        raise JobFailed(job)
    return job
