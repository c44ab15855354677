"""Symbol lines from annotated text, for people who know exactly how a sentence is to be read.

The notation is that of the voices' training scripts:
``今天#1天气#2怎么样#4`` with ``jin1 tian1 tian1 qi4 zen3 me5 yang4``.
``#0`` joins words. English words stand between slashes, their syllables between dots (``/ HH AH0 . L OW1 /``).
6 is a second tone made by sandhi, a 5 behind a tone (``huan15``) a lost one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from speech.errors import TextError
from speech.text.characters import is_han
from speech.text.pinyin import valid
from speech.text.symbols import Look, Unit, build_line

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"([^#]+)#([0-4])")


def annotated_line(text: str, pronunciation: str, look: Look = Look()) -> str:  # noqa: B008 - frozen
    """Return the symbol line of annotated text; raises TextError if text and pronunciation do not agree."""
    words = _WORD.findall(text)
    if "".join(f"{word}#{level}" for word, level in words) != text or not words:
        raise TextError(f"{text!r}: every word is followed by # and a level 0-4", code="bad_annotation")
    syllables = _syllables(pronunciation)
    units = [_unit(word, int(level), syllables) for word, level in words]
    rest = next(syllables, None)
    if rest is not None:
        raise TextError(f"{text!r}: the pronunciation goes on after the text, at {rest[1]}", code="bad_annotation")
    return build_line(units, look)[0]


def _syllables(pronunciation: str) -> Iterator[tuple[bool, list[str]]]:
    """Yield (is English, syllables): one pinyin syllable, or all of an English word."""
    for part in pronunciation.split("/"):
        if re.search("[A-Z]", part):
            yield True, [" ".join(syllable.split()) for syllable in part.split(".")]
        else:
            for syllable in part.split():
                yield False, [_tone(syllable)]


def _tone(syllable: str) -> str:
    """Reduce ``huan15`` to huan5 and ``wo6`` to wo2."""
    return valid(re.sub(r"[1-4]5$", "5", syllable))


def _unit(word: str, level: int, syllables: Iterator[tuple[bool, list[str]]]) -> Unit:
    unit = Unit(0, len(word), [], level=level)
    left = sum(map(is_han, word)) or 1
    while left > 0:
        english, spoken = next(syllables, (False, []))
        if not spoken:
            raise TextError(f"the pronunciation ends before {word!r}", code="bad_annotation")
        unit.english = english
        unit.syllables.extend(spoken)
        # A coloured syllable (wanr2) stands for two characters; er is a syllable of its own.
        coloured = not english and spoken[0][:-1].endswith("r") and spoken[0][:-1] != "er"
        left -= 2 if coloured else 1
    return unit
