"""Which of the waiting units share the next batch: a pure function, so that a table can test it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a batch may be.

    ``max_cost`` bounds the padded size, longest row times rows: it is what bounds memory. ``max_rows`` bounds the
    rows. ``max_stretch`` bounds the padding: the longest row is at most this many times the shortest.
    """

    max_cost: int
    max_rows: int
    max_stretch: float = 3.0

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could ever run."""
        for name in ("max_cost", "max_rows", "max_stretch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be at least 1")


def choose(costs: Sequence[int], priorities: Sequence[int], limits: Limits) -> list[int]:
    """Pick the rows of a batch from candidates given in the order in which they deserve to run.

    ``costs[i]`` is the unpadded length of candidate i and ``priorities[i]`` its priority, 0 the highest; candidates
    come sorted by priority. Returns indexes, candidate 0 (the head) always first: it runs even if it is larger
    than ``max_cost``, then alone. The others are taken priority by priority, those nearest to the head in
    length first, while the limits hold. Units of a lower priority than the head's only fill rows that would be
    empty: they never make the batch longer.
    """
    head = costs[0]
    chosen, shortest, longest = [0], head, head
    others = sorted(range(1, len(costs)), key=lambda i: (priorities[i], abs(costs[i] - head)))
    for i in others:
        if len(chosen) == limits.max_rows:
            break
        low, high = min(shortest, costs[i]), max(longest, costs[i])
        if high > longest and priorities[i] > priorities[0]:
            continue
        if high > limits.max_stretch * low or high * (len(chosen) + 1) > limits.max_cost:
            continue
        chosen.append(i)
        shortest, longest = low, high
    return chosen
