"""Which rows share a batch: the table, and the rules on anything hypothesis can think of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.selection import Limits, choose

WIDE = Limits(max_cost=10_000, max_rows=4, max_stretch=4.0)


@pytest.mark.parametrize(
    ("case", "costs", "priorities", "limits", "chosen"),
    [
        ("one unit", [7], [5], WIDE, [0]),
        ("all fit", [10, 20, 30], [5] * 3, WIDE, [0, 1, 2]),
        ("the nearest in length", [10, 30, 11, 29, 12, 28, 9], [5] * 7, WIDE, [0, 2, 6, 4]),
        ("equals in fair order", [10] * 6, [5] * 6, WIDE, [0, 1, 2, 3]),
        ("the cost limit is padded", [10, 10, 30], [5] * 3, Limits(60, 8), [0, 1]),
        ("a shorter one still fits", [10, 16, 4], [5] * 3, Limits(30, 8), [0, 2]),
        ("larger than the limit: alone", [100, 10, 90], [5] * 3, Limits(60, 8, 100), [0]),
        ("not with one four times as long", [10, 41, 40], [5] * 3, WIDE, [0, 2]),
        ("priority before length", [10, 30, 10, 10, 10], [0, 0, 5, 5, 5], WIDE, [0, 1, 2, 3]),
        ("a lower priority never lengthens", [10, 11, 9], [0, 5, 5], WIDE, [0, 2]),
        ("but fills up to the longest", [10, 30, 29], [0, 0, 5], WIDE, [0, 1, 2]),
        ("one row at a time", [10, 10], [5, 5], Limits(10_000, 1), [0]),
    ],
)
def test_table(case, costs, priorities, limits, chosen):
    assert choose(costs, priorities, limits) == chosen, case


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 500)), min_size=1, max_size=60).map(
        lambda rows: sorted(rows, key=lambda row: row[0])
    ),
    st.builds(Limits, st.integers(1, 5000), st.integers(1, 40), st.floats(1, 20)),
)
def test_every_batch_keeps_the_limits_and_honours_priority(rows, limits):
    priorities, costs = [p for p, _ in rows], [c for _, c in rows]
    chosen = choose(costs, priorities, limits)
    picked = [costs[i] for i in chosen]
    assert chosen[0] == 0
    assert len(set(chosen)) == len(chosen) <= limits.max_rows
    assert max(picked) * len(picked) <= limits.max_cost or len(picked) == 1
    assert max(picked) <= limits.max_stretch * min(picked)
    longest_of_head = max(costs[i] for i in chosen if priorities[i] == priorities[0])
    assert max(picked) == longest_of_head
    for i in set(range(len(rows))) - set(chosen):  # who stays out would have broken a limit beside his betters
        betters = [costs[k] for k in chosen if priorities[k] <= priorities[i]]
        low, high = min([*betters, costs[i]]), max([*betters, costs[i]])
        fits = len(betters) < limits.max_rows and high * (len(betters) + 1) <= limits.max_cost
        rides = priorities[i] == priorities[0] or costs[i] <= longest_of_head
        assert not (fits and rides and high <= limits.max_stretch * low)


@pytest.mark.parametrize(("cost", "rows", "stretch"), [(0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.5)])
def test_limits_under_which_nothing_runs_are_refused(cost, rows, stretch):
    with pytest.raises(ValueError, match="at least 1"):
        Limits(cost, rows, stretch)
