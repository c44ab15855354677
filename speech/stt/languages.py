"""Which language a recording is in: a vote of its first chunks of speech."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from speech.stt.chunks import ChunkResult

VOTERS = 3
"""Chunks that vote. More cost time before the rest can start; fewer fall for a greeting in another language."""
KEPT = 5
"""Languages of each chunk that are remembered."""


class Vote(NamedTuple):
    """The language of a recording, and the mean probability of it in the chunks that voted."""

    language: str
    probability: float


def vote(results: Iterable[ChunkResult]) -> Vote | None:
    """Return the language that the first chunks agree on best, weighted by their seconds; None if none voted."""
    first: dict[int, ChunkResult] = {}
    for result in sorted(results, key=lambda result: result.index):
        if result.languages and len(first) < VOTERS:
            first.setdefault(result.index, result)
    shares: dict[str, float] = defaultdict(float)
    weights = 0.0
    for result in first.values():
        weight = max(result.end - result.start, 1e-3)
        weights += weight
        for language, share in result.languages:
            shares[language] += weight * share
    if not shares:
        return None
    best = max(shares, key=lambda language: (shares[language], language))
    return Vote(best, min(1.0, shares[best] / weights))
