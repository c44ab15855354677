"""Cut a sentence whose symbol line would be too long, at the best break near equal parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from speech.text.characters import PAUSES, fold, is_han
from speech.text.symbols import english_phones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speech.text.symbols import Unit


# What parts words; the dot and colon of addresses and times do not.
_PARTING = frozenset(char for char in PAUSES if not char.isascii()) | frozenset(",;!?")


def symbol_count(unit: Unit) -> int:
    """Symbols of a unit with the break after it."""
    if not unit.english:
        return 2 * len(unit.syllables) + 1
    return sum(len(english_phones(syllable)[0]) for syllable in unit.syllables) + 1


def cut(units: Sequence[Unit], limit: int, text: str) -> list[list[Unit]]:
    """Return the units of a text in groups of at most ``limit`` symbols each; one group if they fit.

    A unit longer than the limit by itself is a group of its own.
    """
    counts = [symbol_count(unit) for unit in units]
    groups: list[list[Unit]] = []
    start, left = 0, sum(counts)
    while left > limit:
        target = left / -(-left // limit)
        end, used = _best(units, counts, start, limit, target, text)
        groups.append(list(units[start:end]))
        start, left = end, left - used
    if start < len(units):
        groups.append(list(units[start:]))
    return groups


def _best(
    units: Sequence[Unit], counts: list[int], start: int, limit: int, target: float, text: str
) -> tuple[int, int]:
    """Return the end of the next group and its symbols: strong breaks first, then nearness to the target."""
    best, best_used, best_score = start + 1, counts[start], float("-inf")
    used = 0
    for index in range(start, len(units)):
        used += counts[index]
        if used > limit:
            break
        score = units[index].level * limit / 4 - abs(used - target)
        if used < target / 2:
            # Rather than a scrap anything, but what is written as one.
            score -= 5 * limit
        if index + 1 < len(units) and _is_one(text, units[index], units[index + 1]):
            # The spoken words of one written number or address stay together if they can.
            score -= 10 * limit
        if score > best_score:
            best, best_used, best_score = index + 1, used, score
    return best, best_used


def _is_one(text: str, unit: Unit, following: Unit) -> bool:
    """Tell whether two words were written as one: 2026-11-21, 9:00-18:30, GPT-4, 1.5亿."""
    if following.start < unit.end:
        return True
    joint = fold(text[max(0, unit.end - 1) : following.start + 1])
    if re.search("[0-9)] [0-9]|[0-9][万亿萬億]", joint):
        return True
    return len(joint) > 1 and not any(is_han(char) or char.isspace() or char in _PARTING for char in joint)
