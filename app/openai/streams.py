"""Answers as server-sent events, in OpenAI's form."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from flask import Response
from redis import RedisError

from app.openai.errors import error_event
from app.problems import Refusal
from app.waiting import Caller, succeeded
from jobs.errors import JobsError
from jobs.record import Job

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Event = dict[str, Any]


def event_stream(caller: Caller, job_id: str, tell: Callable[[Job], Iterator[Event]]) -> Response:
    """Answer at once with a stream; its events are what `tell` makes of the job when it has succeeded."""
    answer = Response(_lines(caller, job_id, tell), content_type="text/event-stream; charset=utf-8", headers=HEADERS)
    # A client may be gone before the first line is asked for; then no generator has begun that could notice.
    answer.call_on_close(lambda: caller.cancel(job_id))
    return answer


def _lines(caller: Caller, job_id: str, tell: Callable[[Job], Iterator[Event]]) -> Iterator[str]:
    yield ": accepted\n\n"
    try:
        with contextlib.closing(caller.looks(job_id)) as looks:
            for job in looks:
                if not job.status.is_terminal:
                    yield ": working\n\n"  # finds out, too, whether the client is still there
                    continue
                for event in tell(succeeded(job)):
                    data = json.dumps(event, ensure_ascii=False)
                    yield f"event: {event['type']}\ndata: {data}\n\n"
    except Refusal as refusal:
        yield error_event(refusal.status, refusal.code, refusal.detail)
    except JobsError as error:
        yield error_event(404, error.code, error.detail)
    except RedisError:
        yield error_event(503, "redis_away", "the ledger cannot be reached at the moment; try again")
