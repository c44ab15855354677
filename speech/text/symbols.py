"""The symbols of the Mandarin voices: tables, building a line from units, checking a line (specification section 5).

A symbol is ``{phone$tone$syllable_flag$word_segment$emotion$speaker}``; a line is symbols joined by one blank.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from speech.errors import TextError

if TYPE_CHECKING:
    from collections.abc import Sequence

BREAKS = ("#1", "#2", "#3", "#4")


@dataclass(frozen=True, slots=True)
class Tables:
    """The symbol lists of the Mandarin linguistic units and the syllable table."""

    syllables: dict[str, tuple[str, ...]]
    phones: frozenset[str]
    tones: frozenset[str]
    syllable_flags: frozenset[str]
    word_segments: frozenset[str]
    emotions: tuple[str, ...]


@cache
def tables() -> Tables:
    """Return the tables, read once."""
    raw = json.loads(files("speech.text").joinpath("data/mandarin.json").read_text(encoding="utf-8"))
    return Tables(
        syllables={key: tuple(phones) for key, phones in raw["syllables"].items()},
        phones=frozenset(raw["phones"]),
        tones=frozenset(raw["tones"]),
        syllable_flags=frozenset(raw["syllable_flags"]),
        word_segments=frozenset(raw["word_segments"]),
        emotions=tuple(name.removeprefix("emotion_") for name in raw["emotions"]),
    )


@dataclass(slots=True)
class Unit:
    """One spoken word: its syllables, the stretch of the source it stands for, and the break after it.

    ``syllables`` holds pinyin with tone digits (``chong2``) for Mandarin, for English one ``"HH AH0"`` per syllable.
    ``chars`` has the Chinese character of each syllable (empty for English); ``level`` 0 means no break symbol.
    ``number``: put for a written number; ``frozen``: a reading given by the user, which sandhi leaves alone.
    """

    start: int
    end: int
    syllables: list[str]
    chars: list[str] = field(default_factory=list)
    level: int = 1
    english: bool = False
    number: bool = False
    frozen: bool = False

    @property
    def text(self) -> str:
        """The characters as spoken."""
        return "".join(self.chars)


@dataclass(frozen=True, slots=True)
class Look:
    """The emotion and speaker fields of a line."""

    emotion: str = "neutral"
    speaker: str = "F7"
    breaks_carry_emotion: bool = False

    @property
    def emotion_field(self) -> str:
        """The emotion as the voices spell it."""
        return f"emotion_{self.emotion}"


def pinyin_phones(pinyin: str) -> tuple[tuple[str, ...], str]:
    """Return the phones and the tone field of a syllable such as ``wanr2``; digit 6 is a sandhi second tone.

    Raises :class:`TextError` for a syllable that the voices have no phones for.
    """
    base = pinyin.rstrip("0123456789")
    digits = pinyin[len(base) :] or "5"
    phones = tables().syllables.get(base)
    if phones is None or (digits[-1] not in "123456"):
        raise TextError(f"{pinyin!r} is not a Mandarin syllable with a tone 1-5 (like chong2)", code="bad_pinyin")
    return phones, "tone2" if digits[-1] == "6" else f"tone{digits[-1]}"


def english_phones(syllable: str) -> tuple[tuple[str, ...], str]:
    """Return the phones of an ARPAbet syllable such as ``"HH AH0"``; its tone is the vowel's stress, 2 counts as 0."""
    phones, tone = [], "tone0"
    for phone in syllable.split():
        name = phone.rstrip("012").lower()
        if name not in tables().phones:
            raise TextError(f"{phone!r} is not an ARPAbet phone that the voices know", code="bad_phone")
        if phone.endswith("1"):
            tone = "tone1"
        phones.append(name)
    return tuple(phones), tone


def build_line(units: Sequence[Unit], look: Look) -> tuple[str, list[tuple[int, int]]]:
    """Return the symbol line and each unit's symbol range (breaks excluded); the last break is always ``#4``."""
    tail = f"{look.emotion_field}${look.speaker}}}"
    break_emotion = look.emotion_field if look.breaks_carry_emotion else "emotion_none"
    break_tail = f"$tone_none$s_none$word_none${break_emotion}${look.speaker}}}"
    symbols: list[str] = []
    ranges: list[tuple[int, int]] = []
    for position, unit in enumerate(units):
        first = len(symbols)
        phones = list(_flagged_phones(unit))
        for number, (phone, tone, flag) in enumerate(phones):
            symbols.append(f"{{{phone}${tone}${flag}${_word_flag(number, len(phones))}${tail}")
        ranges.append((first, len(symbols)))
        level = 4 if position == len(units) - 1 else unit.level
        if level:
            symbols.append(f"{{#{level}{break_tail}")
    return " ".join(symbols), ranges


def _flagged_phones(unit: Unit) -> list[tuple[str, str, str]]:
    spell = english_phones if unit.english else pinyin_phones
    found = []
    for syllable in unit.syllables:
        phones, tone = spell(syllable)
        last = len(phones) - 1
        for place, phone in enumerate(phones):
            flag = "s_both" if last == 0 else "s_begin" if place == 0 else "s_end" if place == last else "s_middle"
            found.append((phone, tone, flag))
    return found


def _word_flag(place: int, count: int) -> str:
    if count == 1:
        return "word_both"
    return "word_begin" if place == 0 else "word_end" if place == count - 1 else "word_middle"
