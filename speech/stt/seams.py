"""Where two chunks meet: of a sentence that the cut has torn, the reading of the chunk that heard all of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import replace

from speech.stt.chunks import ChunkResult, Spoken

BETWEEN = 0.5
"""Seconds that may be between the end of a sentence in one chunk and the beginning of the next in the other."""
CLOSE = 0.2
"""Seconds by which two chunks may differ in where a sentence begins."""


def stitched(results: Iterable[ChunkResult]) -> list[ChunkResult]:
    """Return the results, given in order, without what a neighbour has heard better.

    A chunk that was torn at its end has heard on into the next one (``heard_to``). Both have heard what is there: the
    one knows how it begins, the other how it goes on. The first sentence end on which they agree, and on where the
    next one begins, is the seam.
    """
    found: list[ChunkResult] = []
    last: dict[int, int] = {}
    for result in results:
        before = last.get(result.channel)
        last[result.channel] = len(found)
        if before is None or found[before].heard_to is None:
            found.append(result)
            continue
        seam = _seam(found[before].segments, result)
        found[before] = _only(found[before], [each for each in found[before].segments if _middle(each) < seam])
        found.append(_only(result, [each for each in result.segments if _middle(each) >= seam]))
    return found


def _seam(before: tuple[Spoken, ...], after: ChunkResult) -> float:
    """Return the file time up to which the chunk before is believed."""
    starts = [each.start for each in after.segments]
    pairs = itertools.zip_longest(before, before[1:])
    ends = [(one.end, then) for one, then in pairs if one.end > after.start - BETWEEN]
    for end, then in ends:
        agreed = [start for start in starts if end - CLOSE <= start <= end + BETWEEN]
        if any(then is None or abs(start - then.start) <= CLOSE for start in agreed):
            return end
    return max((end for end, _ in ends), default=after.start)


def _middle(segment: Spoken) -> float:
    return (segment.start + segment.end) / 2


def _only(result: ChunkResult, segments: list[Spoken]) -> ChunkResult:
    return replace(result, segments=tuple(segments))
