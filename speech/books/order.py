"""Order as people count: chapter 2 before chapter 10."""

from __future__ import annotations

import re
import unicodedata

_DIGITS = re.compile(r"(\d+)")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key in which runs of digits count as numbers: 1, 2, 10, not 1, 10, 2."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(folded) if part)


def chapter_name(number: int, total: int, title: str, extension: str) -> str:
    """Name a chapter's file so that every player and shell sorts it rightly: ``007-第七章.mp3``.

    The number is padded to the width of ``total``; of the title only what every file system takes is kept, at most
    96 bytes of UTF-8.
    """
    safe = "".join(c if c.isalnum() or c in "-_" else " " for c in unicodedata.normalize("NFC", title))
    safe = "-".join(safe.split()).encode()[:96].decode(errors="ignore").strip("-")
    digits = max(2, len(str(total)))
    return f"{number:0{digits}d}{'-' if safe else ''}{safe}.{extension}"
