"""Limits after running out of memory: halved at once, back after good batches, slower each time it goes wrong."""

from workers.limits import AdaptiveLimits
from workers.selection import Limits


def grow(limits, memory):
    """Run full batches until one fails for want of memory or the limits are back; returns the number of good ones."""
    good = 0
    while limits.reduced:
        if limits.current.max_cost > memory:
            limits.shrink(limits.current.max_cost, limits.current.max_rows)
            return good
        limits.succeeded(limits.current.max_cost, limits.current.max_rows)
        good += 1
    return good


def test_half_of_what_failed_and_back_to_the_configured():
    limits = AdaptiveLimits(Limits(1000, 16))
    limits.shrink(800, 8)
    assert (limits.current.max_cost, limits.current.max_rows) == (400, 4)
    assert grow(limits, memory=10_000) == 16
    assert limits.current == limits.configured


def test_small_batches_prove_nothing():
    limits = AdaptiveLimits(Limits(1000, 16))
    limits.shrink(1000, 16)
    for _ in range(100):
        limits.succeeded(10, 1)
    assert limits.reduced


def test_where_memory_is_short_asking_again_becomes_rare():
    limits = AdaptiveLimits(Limits(1000, 16))
    limits.shrink(1000, 16)
    rounds = []
    for _ in range(10):
        rounds.append(grow(limits, memory=600))
        if not limits.reduced:  # back at the configured limits, where the next batch fails
            limits.shrink(1000, 16)
    assert rounds[:3] == [8, 16, 32]
    assert rounds[-1] == 1024


def test_an_oversized_unit_alone_changes_nothing():
    limits = AdaptiveLimits(Limits(1000, 16))
    limits.shrink(5000, 1)
    assert not limits.reduced


def test_the_limits_never_reach_zero():
    limits = AdaptiveLimits(Limits(1000, 16))
    for _ in range(20):
        limits.shrink(limits.current.max_cost, limits.current.max_rows)
    assert (limits.current.max_cost, limits.current.max_rows) == (1, 1)
