"""Batch limits that shrink when memory runs out and find their way back."""

import logging
from dataclasses import replace

from workers.selection import Limits

logger = logging.getLogger(__name__)

_FIRST_PATIENCE = 8
_LAST_PATIENCE = 1024
_LONE_FAILURES = 3  # in a row: memory is short for everything, and only a new process gets it back


class AdaptiveLimits:
    """The limits in force, never above the configured ones.

    Out of memory halves them, measured from the batch that failed. After a number of good batches near the limit
    (``patience``, at first 8) they double again, so that a single greedy unit does not leave the worker slow for
    ever. Running out again after such a growth doubles the patience (up to 1024 batches): where memory is truly
    short, one batch in a thousand is spent on asking again.
    """

    def __init__(self, configured: Limits) -> None:
        self.configured = configured
        self.current = configured
        self._patience = _FIRST_PATIENCE
        self._good = 0
        self._grown = False
        self._lone_failures = 0

    @property
    def hopeless(self) -> bool:
        """Whether unit after unit ran out of memory although each was alone and within the configured limits."""
        return self._lone_failures >= _LONE_FAILURES

    @property
    def reduced(self) -> bool:
        """Whether the limits in force are below the configured ones."""
        return self.current != self.configured

    def shrink(self, padded: int, rows: int) -> None:
        """Allow half of a batch of ``rows`` rows and ``padded`` cost, which ran out of memory.

        A batch above the limit (one oversized unit alone) says nothing about the limit and changes nothing.
        """
        self._lone_failures += rows == 1 and padded <= self.configured.max_cost
        if padded > self.current.max_cost:
            return
        if self._grown:
            self._patience = min(2 * self._patience, _LAST_PATIENCE)
            self._grown = False
        self._good = 0
        self.current = replace(self.current, max_cost=max(1, padded // 2), max_rows=max(1, rows // 2))
        logger.warning(
            "out of memory with %d rows of padded cost %d: the limits are now %d rows and a cost of %d",
            *(rows, padded, self.current.max_rows, self.current.max_cost),
        )

    def succeeded(self, padded: int, rows: int) -> None:
        """Count a batch that went well; enough of them near reduced limits double the limits."""
        self._lone_failures = 0
        near = 2 * padded >= self.current.max_cost or 2 * rows >= self.current.max_rows
        if not (self.reduced and near):
            return
        self._good += 1
        if self._good < self._patience:
            return
        self._good, self._grown = 0, True
        self.current = replace(
            self.current,
            max_cost=min(2 * self.current.max_cost, self.configured.max_cost),
            max_rows=min(2 * self.current.max_rows, self.configured.max_rows),
        )
