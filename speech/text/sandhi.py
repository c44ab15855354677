"""Tone sandhi on the words of one line: 一 and 不, then the third tone, phrase by phrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speech.text.segment import MEASURES, frequency
from speech.text.units import MONEY, UNITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speech.text.symbols import Unit

_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两幺点")
# After these 一 is a number in a row or an ordinal and keeps its first tone: 第一, 初一, 周一, 星期一.
_ORDINAL_BEFORE = frozenset("第初周期拜之月图表")
# Before these a lone 一 is an ordinal: 一月, 一号, 一楼.
_ORDINAL_AFTER = frozenset("月号楼班")
# After a written 1 these are counted: 1个, 1公里. Before anything else it is a number only.
_COUNTED = frozenset([*MEASURES.split("|"), *UNITS.values(), *MONEY.values(), "千", "万", "亿", "多", "百"])
_BEFORE_ONE_HUNDRED = frozenset("零万亿千百")
_LARGE = frozenset("百千万亿")
# 一加一, 一比一: both are numbers.
_OPERATORS = frozenset("加减乘比")


def apply_sandhi(units: Sequence[Unit]) -> None:
    """Change the syllables of a line in place. A phrase ends at a break of level 2 or more."""
    phrase: list[Unit] = []
    for unit in units:
        phrase.append(unit)
        if unit.level >= 2:
            _phrase(phrase)
            phrase = []
    _phrase(phrase)


def _phrase(units: list[Unit]) -> None:
    if units:
        _yi_and_bu(units)
        _third_tones(units)


def _yi_and_bu(units: list[Unit]) -> None:
    places = [(unit, index) for unit in units if not unit.english for index in range(len(unit.chars))]
    chars = [unit.chars[index] for unit, index in places]
    for at, (unit, index) in enumerate(places):
        char = chars[at]
        if char not in ("一", "不") or unit.frozen:
            continue
        before = chars[at - 1] if at else ""
        after = chars[at + 1] if at + 1 < len(chars) else ""
        tone = places[at + 1][0].syllables[places[at + 1][1]][-1] if after else ""
        if char == "一":
            following = places[at + 1][0] if after else unit
            decimal = after == "点" and chars[at + 2 : at + 3] and chars[at + 2] in _NUMERALS
            beyond = chars[at + 2] if at + 2 < len(chars) else "."
            counted_up = before in _OPERATORS and chars[at - 2 : at - 1] and chars[at - 2] in _NUMERALS
            keeps = decimal or counted_up or _keeps_first(unit, index, before, after, beyond, following)
            # 看一看, but 一步一步.
            between = before if chars[max(0, at - 2)] != "一" else ""
            unit.syllables[index] = "yi1" if keeps else f"yi{_yi(between, after, tone)}"
        elif unit.syllables[index] != "bu5":
            unit.syllables[index] = f"bu{_bu(before, after, tone)}"


def _keeps_first(unit: Unit, index: int, before: str, after: str, beyond: str, following: Unit) -> bool:
    """Tell whether 一 is a number in a row, an ordinal or the end of its word, and so keeps its first tone."""
    calculated = after in _OPERATORS and beyond in _NUMERALS
    if not after or before in _ORDINAL_BEFORE or after + beyond == "年级" or calculated:
        return True
    one_hundred = after in _LARGE and (before not in _NUMERALS or before in _BEFORE_ONE_HUNDRED)
    if one_hundred or before + after == "点刻":
        return False
    if before in _NUMERALS and not (before in "万千" and after == "个"):
        return True
    if index == len(unit.chars) - 1 and index > 0:
        return True
    lone_number = unit.number and (following.number or (following is not unit and following.text not in _COUNTED))
    return lone_number or after in _ORDINAL_AFTER or (after in _NUMERALS and after != "点")


def _yi(before: str, after: str, tone: str) -> str:
    if before and before == after:
        return "5"
    return "2" if tone == "4" or after == "个" else "4"


def _bu(before: str, after: str, tone: str) -> str:
    if before and before == after and before != "得":
        return "5"
    return "2" if tone == "4" else "4"


def _third_tones(units: list[Unit]) -> None:
    """From the right: a third tone before a (still) third tone becomes second, 老虎 in 小老虎 first."""
    following = ""
    for unit in reversed(units):
        if unit.english or not unit.syllables:
            following = ""
            continue
        if not unit.frozen:
            if following == "3" and unit.syllables[-1][-1] == "3":
                if len(unit.syllables) > 1:
                    _inside_word(unit)
                _raise(unit, -1)
            _inside_word(unit)
        following = unit.syllables[0][-1]


def _inside_word(unit: Unit) -> None:
    """Third tones inside a word, foot by foot: 展览-馆 is 2 2 3, 小-老虎 is 3 2 3."""
    if not any(syllable[-1] == "3" for syllable in unit.syllables[:-1]):
        return
    end = len(unit.syllables)
    following = ""
    for start in reversed(_feet(unit)):
        for place in range(end - 2, start - 1, -1):
            if unit.syllables[place][-1] == "3" and unit.syllables[place + 1][-1] == "3":
                _raise(unit, place)
        if following == "3" and unit.syllables[end - 1][-1] == "3":
            _raise(unit, end - 1)
        following = unit.syllables[start][-1]
        end = start


def _feet(unit: Unit) -> list[int]:
    """Where the feet of a word begin: two by two, a word of three by its own structure."""
    count = len(unit.syllables)
    if count == 3:
        text = unit.text
        return [0, 1] if frequency(text[1:]) > frequency(text[:2]) else [0, 2]
    return list(range(0, count, 2))


def _raise(unit: Unit, place: int) -> None:
    unit.syllables[place] = f"{unit.syllables[place][:-1]}2"
