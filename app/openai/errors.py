"""Errors in OpenAI's form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jobs.validation import FieldError

PREFIXES = ("/v1/audio/", "/v1/models")
KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def is_openai(path: str) -> bool:
    """Whether a path is one of the routes that OpenAI's clients know."""
    return path.startswith(PREFIXES)


def error_body(status: int, code: str, detail: str, errors: Sequence[FieldError] = ()) -> dict[str, Any]:
    """Return the body of an error."""
    kind = KINDS.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": detail, "type": kind, "param": errors[0].field if errors else None, "code": code}}


def error_event(status: int, code: str, detail: str) -> str:
    """Return an error inside a stream of events."""
    return f"event: error\ndata: {json.dumps(error_body(status, code, detail), ensure_ascii=False)}\n\n"
