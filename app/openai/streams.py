"""Answers as server-sent events, in OpenAI's form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from flask import Response
from redis import RedisError

from app.openai.errors import error_event
from app.problems import Refusal
from app.waiting import Caller
from jobs.errors import JobsError

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Event = dict[str, Any]


def event_stream(caller: Caller, job_id: str, events: Iterator[Event | None]) -> Response:
    """Answer at once with a stream of events, of which None keeps the line open; the job is canceled if it is cut."""
    answer = Response(_lines(events), content_type="text/event-stream; charset=utf-8", headers=HEADERS)
    # A client may be gone before the first line is asked for; then no generator has begun that could notice.
    answer.call_on_close(lambda: caller.cancel(job_id))
    return answer


def _lines(events: Iterator[Event | None]) -> Iterator[str]:
    yield ": accepted\n\n"
    try:
        for event in events:
            if event is None:
                yield ": working\n\n"  # finds out, too, whether the client is still there
            else:
                yield f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
    except Refusal as refusal:
        yield error_event(refusal.status, refusal.code, refusal.detail)
    except JobsError as error:
        yield error_event(404, error.code, error.detail)
    except RedisError:
        yield error_event(503, "redis_away", "the ledger cannot be reached at the moment; try again")
