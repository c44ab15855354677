"""The spoken stretches that the normaliser makes of written text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_SHORT_WORD = 6
Kind = Literal["han", "spoken", "latin", "said", "arpabet", "break", "unknown"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A spoken stretch and the source ``[start, end)`` it stands for.

    - ``han``: Chinese characters as they stand in the source, one for one.
    - ``spoken``: Chinese words put for something written otherwise (numbers, signs); a blank in the text is a word
      boundary, ``|`` a short pause.
    - ``latin``: a word in Latin letters.
    - ``said``, ``arpabet``: pinyin or English ``syllables`` that a dictionary or a mark gave; ``frozen`` if sandhi
      must leave them as they are.
    - ``break``: a pause of ``level``.
    - ``unknown``: a character nobody can speak.
    """

    kind: Kind
    text: str
    start: int
    end: int
    level: int = 0
    syllables: tuple[str, ...] = ()
    frozen: bool = False


Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], "list[Piece] | None"]]


def spoken(text: str, start: int, end: int) -> Piece:
    """Return a piece of Chinese words for ``[start, end)`` of the source."""
    return Piece("spoken", text, start, end)


def group(match: re.Match[str], name: str | int, text: str) -> Piece:
    """Return a piece of Chinese words for a group of a match."""
    return Piece("spoken", text, match.start(name), match.end(name))


def pause(match: re.Match[str], level: int) -> Piece:
    """Return a break after a match."""
    return Piece("break", "", match.end(), match.end(), level=level)


def joined(word: str, parts: list[str]) -> str:
    """Join numbers by a word, as one word while it is short: 三比二."""
    text = word.join(parts)
    return text if len(text) <= _SHORT_WORD else f" {word} ".join(parts)
