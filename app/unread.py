"""Requests that gunicorn refuses before the application sees them, answered as problems: by itself it sends HTML."""

from __future__ import annotations

import json
from typing import Any

from gunicorn import util

from app.headers import SECURITY
from app.problems import MEDIA_TYPE, body_of

FROM_GUNICORN = {414: "uri_too_long", 431: "headers_too_large"}
CURES = {
    414: "the address has more than {line} bytes; send long fields in a body",
    431: "the headers have more than {fields} fields, or one of more than {field} bytes; send fewer or shorter ones",
}


def answer_with_problems(config: Any) -> None:
    """Let all of gunicorn's own errors be problems. `config`: gunicorn's, for its limits."""
    limits = {
        "line": config.limit_request_line,
        "fields": config.limit_request_fields,
        "field": config.limit_request_field_size,
    }

    def write_error(client: Any, status: int, reason: str, message: str) -> None:
        code = FROM_GUNICORN.get(status, "bad_request" if status != 500 else "internal_error")
        unread = f"this is no HTTP that is understood here: {message}"
        detail = CURES[status].format(**limits) if status in CURES else unread
        if status == 500:
            detail = "the server failed at this request; its log has the reason"
        body = json.dumps(body_of(status, code, detail), ensure_ascii=False).encode() + b"\n"
        headers = {"Connection": "close", "Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **SECURITY}
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        util.write_nonblock(client, "\r\n".join(lines).encode("latin1") + body)

    util.write_error = write_error
