"""Files of lines (JSON lines or CSV) in requests: as the body, with options in the query, or as a form's file."""

from __future__ import annotations

from collections.abc import Iterable

from app import bodies
from app.problems import Refusal
from app.services import services
from jobs.lines import CSV, JSONL
from jobs.record import Blob, Problem

LINES = "JSON lines (.jsonl) or CSV with a header (.csv)"
KINDS = {
    "text/csv": CSV,
    "text/tab-separated-values": CSV,
    **dict.fromkeys(
        (
            "application/jsonl",
            "application/jsonlines",
            "application/json-lines",
            "application/x-jsonlines",
            "application/x-ndjson",
            "application/ndjson",
            "application/json",
            "application/octet-stream",
            "text/plain",
        ),
        JSONL,
    ),
}


def lines_in_body(job_id: str, name: str) -> Blob | None:
    """Store the body if its media type is one of lines; None if it is another one. Raises `Refusal`."""
    kind = KINDS.get(bodies.media_type())
    if kind is None:
        return None
    body = bodies.chunks(services().settings.max_upload_bytes)
    return services().store.put(job_id, body, name=name, media_type=kind)


def check_lines(field: str, lines: Iterable[tuple[int, Problem | None]]) -> int:
    """Return how many lines there are. Raises `Refusal` for none, too many, or if not one can be used."""
    most = services().settings.max_children
    count, refused, good = 0, "", False
    for number, problem in lines:
        count += 1
        if count > most:
            raise Refusal.of_field(field, f"has more than {most} lines (VOXQUEUE_MAX_CHILDREN); split it", most)
        if problem is None:
            good = True
        elif not refused:
            refused = f"line {number}: {problem.detail}"
    if not count:
        raise Refusal.of_field(field, f"holds no line; send {LINES}")
    if not good:
        raise Refusal.of_field(field, f"not one line can be used; {refused}")
    return count
