"""Cut a sentence whose symbol line would be too long, at the best break near equal parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speech.text.symbols import english_phones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from speech.text.symbols import Unit


def symbol_count(unit: Unit) -> int:
    """Symbols of a unit with the break after it."""
    if not unit.english:
        return 2 * len(unit.syllables) + 1
    return sum(len(english_phones(syllable)[0]) for syllable in unit.syllables) + 1


def cut(units: Sequence[Unit], limit: int) -> list[list[Unit]]:
    """Return the units in groups of at most ``limit`` symbols each; one group if they fit.

    A unit longer than the limit by itself is a group of its own.
    """
    counts = [symbol_count(unit) for unit in units]
    groups: list[list[Unit]] = []
    start, left = 0, sum(counts)
    while left > limit:
        target = left / -(-left // limit)
        end, used = _best(units, counts, start, limit, target)
        groups.append(list(units[start:end]))
        start, left = end, left - used
    if start < len(units):
        groups.append(list(units[start:]))
    return groups


def _best(units: Sequence[Unit], counts: list[int], start: int, limit: int, target: float) -> tuple[int, int]:
    """Return the end of the next group and its symbols: strong breaks first, then nearness to the target."""
    best, best_used, best_score = start + 1, counts[start], float("-inf")
    used = 0
    for index in range(start, len(units)):
        used += counts[index]
        if used > limit:
            break
        if used < target / 2:
            continue
        score = units[index].level * limit / 4 - abs(used - target)
        if index + 1 < len(units) and units[index + 1].start < units[index].end:
            # The spoken words of one written number stay together if they can.
            score -= 10 * limit
        if score > best_score:
            best, best_used, best_score = index + 1, used, score
    return best, best_used
