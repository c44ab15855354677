"""Which chapters: ``1-3,5``; and which voice speaks which of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from speech.books.errors import BookError

_RANGE = re.compile(r"\s*(\d+)\s*(?:-\s*(\d*)\s*)?")


def selected(selection: str | None, total: int, *, field: str = "chapters_selected") -> tuple[int, ...]:
    """Return the chosen chapter numbers, from 1, each once, in the order of the book.

    ``selection`` is a list of numbers and ranges such as ``1-3,5`` or ``8-`` (to the end); None or blank means all.
    Raises :class:`BookError` (``bad_selection``) that names the ``field``, the part that is wrong and the last chapter.
    """
    if selection is None or not selection.strip():
        return tuple(range(1, total + 1))
    chosen: set[int] = set()
    for part in selection.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise _error(field, part, total, "is neither a number nor a range such as 1-3")
        first = int(match[1])
        last = first if match[2] is None else int(match[2] or total)
        if not 1 <= first <= last <= total:
            raise _error(field, part, total, "does not name chapters of this book")
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


def voices_by_chapter(voices: Mapping[str, str], total: int) -> dict[int, str]:
    """Return the voice of each chapter that has one of its own, from {"1-3,5": voice}.

    Raises :class:`BookError` (``bad_selection``) for what :func:`selected` refuses, and if a chapter is given two.
    """
    found: dict[int, str] = {}
    for selection, voice in voices.items():
        for number in selected(selection, total, field="chapter_voices"):
            if found.setdefault(number, voice) != voice:
                raise BookError(
                    f"chapter_voices: chapter {number} is given two voices, {found[number]} and {voice}; name it once",
                    code="bad_selection",
                )
    return found


def _error(field: str, part: str, total: int, why: str) -> BookError:
    return BookError(f"{field}: {part.strip()!r} {why}; the book has chapters 1 to {total}", code="bad_selection")
