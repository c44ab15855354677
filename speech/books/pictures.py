"""Telling a cover that players show from what is none."""

from __future__ import annotations

MAX_COVER_BYTES = 10 * 2**20


def is_picture(data: bytes) -> bool:
    """Tell whether the bytes are a JPEG or PNG of at most 10 MiB, the two kinds that M4B files carry."""
    return picture_format(data) is not None and len(data) <= MAX_COVER_BYTES


def picture_format(data: bytes) -> str | None:
    """Return ``jpeg`` or ``png`` by the first bytes, or None."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return None
