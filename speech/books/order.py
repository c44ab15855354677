"""Order as people count: chapter 2 before chapter 10."""

from __future__ import annotations

import re
import unicodedata

from speech.books.tidy import LONGEST_NAME, folded

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which runs of digits count as numbers: 1, 2, 10, not 1, 10, 2."""
    parts = _DIGITS.split(folded(name))
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)


def chapter_name(number: int, total: int, title: str, extension: str) -> str:
    """Name a chapter's file so that every player and shell sorts it rightly: ``007-第七章.mp3``.

    The number is padded to the width of ``total``; of the title only what every file system takes is kept, at most
    96 bytes of UTF-8.
    """
    beginning = unicodedata.normalize("NFC", title[:LONGEST_NAME])  # to compose all of it may take the square of time
    safe = "".join(c if c.isalnum() or c in "-_" else " " for c in beginning)
    safe = "-".join(safe.split()).encode()[:96].decode(errors="ignore").strip("-")
    digits = max(2, len(str(total)))
    return f"{number:0{digits}d}{'-' if safe else ''}{safe}.{extension}"
