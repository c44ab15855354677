"""The codes of problems: stable, for programs. What each means, in the order of their statuses.

`python -m app.codes` prints the table of docs/api.md; a test holds both against the code.
"""

from __future__ import annotations

CODES: dict[str, tuple[tuple[int, ...], str]] = {
    "bad_request": ((400, 417, 501), "The request is malformed, or no HTTP that is understood here."),
    "invalid_json": ((400,), "The body is no JSON; the detail says where."),
    "invalid_multipart": ((400,), "The form is malformed or cut off."),
    "key_needed": ((401,), "Send `Authorization: Bearer KEY` with a key of this server."),
    "key_unknown": ((401,), "The key that should begin a session is none of this server."),
    "admin_only": ((403,), "This needs a key with the role `admin`."),
    "cross_site": ((403,), "Another site's page may not change anything here."),
    "loopback_only": ((403,), "Without keys the server answers to `localhost` only; the `Host` was another."),
    "not_found": ((404,), "There is no such page."),
    "job_not_found": ((404,), "There is no such job, or it is another owner's."),
    "file_not_found": ((404,), "The job has no file of this name (yet)."),
    "file_gone": ((404,), "The store has lost the file."),
    "cursor_gone": ((404,), "The job of `after` has just gone; begin the list anew."),
    "model_not_found": ((404,), "There is no such model."),
    "method_not_allowed": ((405,), "The address knows other methods; `Allow` names them."),
    "client_gone": ((408,), "The client hung up while it waited; nobody reads this."),
    "too_slow": ((408,), "The body came too slowly or stopped; send it over a faster connection."),
    "idempotency_conflict": ((409,), "The `Idempotency-Key` was used with another request."),
    "wrong_state": ((409,), "The job's state forbids it."),
    "is_child": ((409,), "A child goes with its parent; ask that."),
    "no_sound": ((404, 409), "The job has no sound of its own."),
    "no_webhook": ((409,), "The job has no webhook."),
    "too_large": ((413,), "The body, a file or the fields are over the limit."),
    "too_many_parts": ((413,), "The form has too many parts."),
    "uri_too_long": ((414,), "The address is over the limit; send long fields in a body."),
    "unsupported_media_type": ((415,), "The body is of another media type."),
    "not_media": ((415,), "The file is no recording, book or picture by its first bytes."),
    "range_not_satisfiable": ((416,), "The range is not in the file."),
    "invalid_request": ((422, 400), "A field is unknown, missing or wrong; `errors` names each."),
    "queue_full": ((429,), "Too many jobs wait; `Retry-After`."),
    "headers_too_large": ((431,), "A header is too long, or there are too many."),
    "internal_error": ((500,), "The server failed; its log has the reason."),
    "no_transcript": ((500,), "The job made no file of the wanted form."),
    "busy": ((503,), "More submits come than can be written down; nothing was taken in; `Retry-After`."),
    "redis_away": ((503,), "The ledger cannot be reached; `Retry-After`."),
    "store_full": ((503,), "The disk of the store is full; `Retry-After`."),
    "too_large_for_redis": ((503,), "With `VOXQUEUE_RESULTS=redis`: the upload is over `VOXQUEUE_REDIS_BLOB_BYTES`."),
    "store_read_only": ((503,), "The store cannot be written; `Retry-After`."),
    "store_failed": ((503,), "The store failed or cannot be reached; `Retry-After`."),
}


def table() -> str:
    """Return the codes in Markdown."""
    rows = ["| status | code | meaning |", "| --- | --- | --- |"]
    for code, (statuses, meaning) in CODES.items():
        rows.append(f"| {', '.join(map(str, statuses))} | `{code}` | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is the program's output
