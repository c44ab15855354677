"""Errors as RFC 9457 problems: which field, which limit, what to do. Never a stack trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, jsonify, request
from pydantic import ValidationError
from redis import RedisError
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import OutOfMemoryError, ReadOnlyError, TryAgainError
from redis.exceptions import TimeoutError as RedisSlow
from werkzeug.exceptions import HTTPException

from app.openai.errors import error_body, is_openai
from jobs.errors import Conflict, JobsError, NotFound, QueueFull, StoreError
from jobs.validation import FieldError, explain

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""What `Retry-After` says when the queue is full or Redis is away."""
PASSING = (RedisAway, RedisSlow, OutOfMemoryError, ReadOnlyError, TryAgainError)
"""Faults of Redis that pass: it restarts, loads its file, fails over or is full."""

FROM_WERKZEUG = {404: "not_found", 405: "method_not_allowed", 416: "range_not_satisfiable"}
"""Codes of what the framework refuses; not made of the statuses' phrases, which change with Python's versions."""


class Refusal(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    @classmethod
    def of_fields(cls, errors: Sequence[FieldError]) -> Refusal:
        """Return the refusal (422) of a body whose fields are wrong."""
        shown = "; ".join(f"{error.field}: {error.detail}" for error in errors[:3])
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        return cls(422, "invalid_request", shown + more, errors=errors)

    @classmethod
    def of_field(
        cls, field: str, detail: str, limit: object = None, *, status: int = 422, code: str = "invalid_request"
    ) -> Refusal:
        """Return the refusal of one field."""
        return cls(status, code, f"{field}: {detail}", errors=[FieldError(field, detail, limit)])


STATUS: dict[type[JobsError], int] = {NotFound: 404, Conflict: 409, QueueFull: 429, StoreError: 503}


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as a response. `code` is stable and for programs, `detail` is for people."""
    if is_openai(request.path):
        answer = jsonify(error_body(status, code, detail, errors))
        answer.status_code = status
        answer.headers.update(headers or {})
        return answer
    body = body_of(status, code, detail, errors)
    response = Response(json.dumps(body, ensure_ascii=False) + "\n", status, content_type=MEDIA_TYPE)
    response.headers.update(headers or {})
    return response


def body_of(status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    """Return a problem's JSON."""
    body: dict[str, Any] = {
        "type": f"/docs#problem-{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors:
        body["errors"] = [error.to_json() for error in errors]
    return body


def _refused(error: Refusal) -> Response:
    return problem(error.status, error.code, error.detail, errors=error.errors, headers=error.headers)


def _invalid(error: ValidationError) -> Response:
    return _refused(Refusal.of_fields(explain(error)))


def _jobs_error(error: JobsError) -> Response:
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), 500)
    if status >= 500:
        log.error("%s: %s", error.code, error.detail)
    headers = {"Retry-After": str(RETRY_SECONDS)} if status in {429, 503} else {}
    return problem(status, error.code, error.detail, headers=headers)


def _redis_error(error: RedisError) -> Response:
    # MISCONF: it cannot write its file any more, for want of disk space mostly.
    if not isinstance(error, PASSING) and not str(error).startswith("MISCONF"):
        return _unforeseen(error)
    log.warning("Redis is away: %s", error)
    return problem(
        503,
        "redis_away",
        f"the ledger cannot be reached at the moment; nothing was lost, try again in {RETRY_SECONDS} s",
        headers={"Retry-After": str(RETRY_SECONDS)},
    )


def _http_error(error: HTTPException) -> Response:
    status = error.code or 500
    code = FROM_WERKZEUG.get(status, "bad_request" if status < 500 else "internal_error")
    kept = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After", "Location"}}
    return problem(status, code, error.description or HTTPStatus(status).description, headers=kept)


def _unforeseen(error: Exception) -> Response:
    log.error("a request failed", exc_info=error)
    return problem(500, "internal_error", "the server failed at this request; its log has the reason")


def register(app: Flask) -> None:
    """Answer every error of `app` with a problem."""
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(ValidationError, _invalid)
    app.register_error_handler(JobsError, _jobs_error)
    app.register_error_handler(RedisError, _redis_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unforeseen)
