"""The user's dictionary: words with their reading.

A reading is one of
  ``chong2 qing4``        pinyin with tones, one syllable per character (any number for keys that are not all Chinese)
  ``HH AH0 . L OW1``      ARPAbet in capitals, a dot between syllables
  ``=恩比诶``             other Chinese text to speak instead
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cached_property

from speech.errors import TextError
from speech.text.characters import is_han
from speech.text.pieces import Piece
from speech.text.pinyin import character, valid
from speech.text.symbols import english_phones

Words = Mapping[str, str] | Iterable[tuple[str, str, str]]
"""Words to their readings; or each word, its reading and where that is written, which errors then say."""

_ARPABET = re.compile(r"[A-Z]{1,2}[0-2]?(?:\s+(?:\.\s+)?[A-Z]{1,2}[0-2]?)*")
_LONGEST_KEY = 64


class Lexicon:
    """A read-only dictionary of words that are found in text before anything else is done to it."""

    def __init__(self, entries: Words = (), *, under: Lexicon | None = None) -> None:
        """Read the entries, laid over those of ``under``. Raises TextError that names the one that is wrong."""
        if isinstance(entries, Mapping):
            entries = [(key, value, f"dictionary entry {key!r}") for key, value in entries.items()]
        said = {key.lower(): _piece(key, value, where) for key, value, where in entries}
        self._said: dict[str, Piece] = {**under._said, **said} if under else said  # noqa: SLF001 - one of our own kind
        longest_first = sorted(self._said, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, longest_first)), re.IGNORECASE) if longest_first else None

    @cached_property
    def digest(self) -> str:
        """A hash of the words and their readings, in whatever order they came."""
        return hashlib.sha256(repr(sorted(self._said.items())).encode()).hexdigest()

    def find(self, text: str, taken: list[Piece]) -> list[Piece]:
        """Return ``taken`` (settled pieces, in order) with the dictionary's words in the gaps between them."""
        if self._pattern is None:
            return taken
        found: list[Piece] = []
        at = 0
        for piece in [*taken, Piece("break", "", len(text), len(text))]:
            for match in self._pattern.finditer(text, at, piece.start):
                said = self._said[match[0].lower()]
                found.append(Piece(said.kind, said.text or match[0], *match.span(), syllables=said.syllables))
            found.append(piece)
            at = piece.end
        return found[:-1]


def _bounded(key: str) -> str:
    """Return a pattern for a key; Latin letters at its ends must not be cut out of a longer word."""
    before = r"(?<![A-Za-z])" if key[0].isascii() and key[0].isalpha() else ""
    after = r"(?![A-Za-z])" if key[-1].isascii() and key[-1].isalpha() else ""
    return before + re.escape(key) + after


def _piece(key: str, value: str, where: str) -> Piece:
    value = value.strip()
    if not key.strip() or not value:
        raise TextError(f"{where}: a word and its reading are both needed", code="bad_dictionary")
    if len(key) > _LONGEST_KEY:
        raise TextError(f"{where}: a word may have at most {_LONGEST_KEY} characters", code="bad_dictionary")
    if value.startswith("="):
        text = "".join(value[1:].split())
        if not text or not all(character(char) for char in text):
            raise TextError(f"{where}: after = only Chinese characters can stand", code="bad_dictionary")
        return Piece("spoken", text, 0, 0)
    try:
        if _ARPABET.fullmatch(value):
            syllables = tuple(" ".join(part.split()) for part in value.split("."))
            for syllable in syllables:
                english_phones(syllable)
            return Piece("arpabet", "", 0, 0, syllables=syllables)
        pinyin = tuple(valid(syllable) for syllable in value.split())
    except TextError as error:
        raise TextError(f"{where}: {error.detail}", code="bad_dictionary") from error
    expected = sum(map(is_han, key))
    if expected == len(key) and not (len(pinyin) == expected or (len(pinyin) == expected - 1 and key.endswith("儿"))):
        raise TextError(
            f"{where}: {expected} characters need {expected} syllables, not {len(pinyin)}", code="bad_dictionary"
        )
    return Piece("said", "", 0, 0, syllables=pinyin)
