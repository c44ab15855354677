"""Request bodies: JSON within a limit, and what is left of a refused body is read before the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import IO, TypeVar

from flask import Flask, Response, request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from werkzeug.exceptions import ClientDisconnected

from app.problems import Refusal
from app.services import services
from jobs.validation import explain

Model = TypeVar("Model", bound=BaseModel)
READ = 64 * 1024
LEAST_JSON_BYTES = 32 * 1024**2
"""A body up to here is read and judged by its fields, so that a text that is too long is refused by name."""
BYTES_PER_CHAR = 6
"""Of a character in JSON, at most, for all but rare ones: `\\u4f60`."""
DRAIN_SECONDS = 60.0


def stream() -> IO[bytes]:
    """Return the body's stream."""
    return request.stream


def chunks(limit: int, field: str = "body") -> Iterator[bytes]:
    """Yield the body. Raises `Refusal` 413 past `limit` bytes, before reading if the client tells the length."""
    if request.content_length is not None and request.content_length > limit:
        raise too_large(field, limit)
    total = 0
    body = stream()
    while chunk := _read(body):
        total += len(chunk)
        if total > limit:
            raise too_large(field, limit)
        yield chunk
        if len(chunk) == READ:
            time.sleep(0)  # under greenlets: a fast uploader gives way to the others


def _read(body: IO[bytes]) -> bytes:
    try:
        return body.read(READ)
    except (TimeoutError, ClientDisconnected) as error:
        if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
            raise Refusal(408, "too_slow", "the body comes too slowly; send it over a faster connection") from error
        raise


def too_large(field: str, limit: int) -> Refusal:
    """Return the refusal of a body that is too long."""
    what = f"the request has more than {limit} bytes, the limit here; send less at once"
    return Refusal.of_field(field, what, limit, status=413, code="too_large")


def media_type() -> str:
    """Return the request's media type, without parameters."""
    return request.mimetype.lower()


def wrong_media_type(*wanted: str) -> Refusal:
    """Return the refusal of a body of another type."""
    given = media_type() or "no Content-Type"
    return Refusal(415, "unsupported_media_type", f"send {' or '.join(wanted)}, not {given[:100]}")


def is_json() -> bool:
    """Whether the body is JSON by its media type."""
    return media_type() == "application/json" or media_type().endswith("+json")


def json_body(max_chars: int) -> object:
    """Return the value of a JSON body whose texts have at most `max_chars` characters. Raises `Refusal`."""
    if not is_json():
        raise wrong_media_type("application/json")
    limit = min(services().settings.max_upload_bytes, max(LEAST_JSON_BYTES, BYTES_PER_CHAR * max_chars))
    return parse_json(b"".join(chunks(limit)))


def parse_json(data: bytes | str) -> object:
    """Return the value of a JSON text. Raises `Refusal` 400 with the position of the fault."""
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, "invalid_json", f"the body is no JSON: {error}") from error


def validate(model: type[Model], value: object) -> Model:
    """Return `value` as a model. Raises `Refusal` 422 that names each field, the limit and the cure."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Refusal.of_fields(explain(error, model)) from error


def _drain(response: Response) -> Response:
    """Read the rest of a refused body: a client that is still sending would not see the answer."""
    if response.status_code < 400 or request.method in {"GET", "HEAD"}:
        return response
    if not _reaches_its_end(stream()):
        response.headers["Connection"] = "close"
    return response


def _reaches_its_end(body: IO[bytes]) -> bool:
    """Read a body; False if there is too much of it, if it takes too long, or if the client has gone."""
    left = 2 * services().settings.max_upload_bytes + LEAST_JSON_BYTES
    end = time.monotonic() + DRAIN_SECONDS
    try:
        while left > 0 and time.monotonic() < end:
            chunk = body.read(READ)
            if not chunk:
                return True
            left -= len(chunk)
            time.sleep(0)  # gives way, as above
    except (OSError, ClientDisconnected):  # nobody is there to be told of it, or nothing more comes
        return False
    return False


def register(app: Flask) -> None:
    """Read refused bodies of `app` to their end."""
    app.after_request(_drain)
