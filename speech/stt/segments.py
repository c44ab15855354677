"""From the tokens of one window to segments with start and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

PRECISION = 0.02
"""Seconds between two timestamp tokens."""

LEAST_ADVANCE = 0.5
"""Seconds that a window must have got on for the next to begin there."""


class Cutout(NamedTuple):
    """Text tokens (no timestamps) and their time in seconds of the window."""

    start: float
    end: float
    tokens: tuple[int, ...]


class Reading(NamedTuple):
    """The segments of a window; ``resume`` is where the model stopped in the middle of one, in seconds, or None."""

    cutouts: list[Cutout]
    resume: float | None


def read(tokens: Sequence[int], *, timestamp_begin: int, eot: int, seconds: float, resumable: bool = True) -> Reading:
    """Split a window's tokens at its timestamps, as Whisper wrote them: ``<start> text <end><start> text <end>``.

    A window that ends with the start of a segment (``…<end><start>`` or text without an end) was left in the middle:
    the caller decodes again from the last ``<end>``; with ``resumable`` False the tail is kept as it is. ``seconds`` is
    the length of the window's audio; no time is past it, and what is said to begin at its end was made up.
    """
    if not tokens:
        return Reading([], None)
    is_time = [token >= timestamp_begin for token in tokens]
    pairs = [i for i in range(1, len(tokens)) if is_time[i] and is_time[i - 1]]
    closed = is_time[-1] and (len(tokens) < 2 or not is_time[-2])

    def time(token: int) -> float:
        return min((token - timestamp_begin) * PRECISION, seconds)

    def text(part: Sequence[int]) -> tuple[int, ...]:
        return tuple(token for token in part if token < eot)

    if not pairs:
        times = [token for token in tokens if token >= timestamp_begin]
        start = time(tokens[0]) if is_time[0] else 0.0
        end = time(times[-1]) if times and time(times[-1]) > start else seconds
        return Reading([Cutout(start, end, text(tokens))], None)
    cuts = [*pairs, len(tokens)] if closed else pairs
    cutouts, last = [], 0
    for cut in cuts:
        part = tokens[last:cut]
        if time(part[0]) < seconds:
            cutouts.append(Cutout(time(part[0]), time(part[-1]), text(part)))
        last = cut
    if closed:
        return Reading(cutouts, None)
    here = time(tokens[last - 1])
    if here >= seconds:
        return Reading(cutouts, None)
    if resumable and here >= LEAST_ADVANCE:
        return Reading(cutouts, here)
    tail = text(tokens[last:])  # keep it rather than lose its words
    return Reading([*cutouts, Cutout(time(tokens[last]), seconds, tail)] if tail else cutouts, None)
