"""Job IDs: sortable by time, safe in URLs, file names and Celery."""

from __future__ import annotations

import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u
_PATTERN = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(\.\d{1,6})?")


def new_id() -> str:
    """Return a new ID of 26 characters: 48 bits of time in milliseconds, 80 random bits (a ULID in lower case)."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def made_at(job_id: str) -> float:
    """Return when an ID (of a child: its parent's) was made, in seconds since the epoch."""
    return (number_of(job_id) >> 80) / 1000


def number_of(job_id: str) -> int:
    """Return the 128 bits of an ID (of a child: its parent's)."""
    number = 0
    for character in job_id[:26]:
        number = number << 5 | _ALPHABET.index(character)
    return number


def child_id(parent: str, index: int) -> str:
    """Return the ID of a parent's child. It is derived, so planning again makes the same children."""
    return f"{parent}.{index:05d}"


def is_id(text: str) -> bool:
    """Whether `text` has the form of an ID (and so is safe as a file name)."""
    return _PATTERN.fullmatch(text) is not None
