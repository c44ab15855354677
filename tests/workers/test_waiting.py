"""The order of the waiting units: priority, fair share between jobs, nothing lost, nothing kept."""

import gc
import statistics
import time
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from workers.selection import Limits
from workers.waiting import Unit, WaitingRoom

WINDOW = 8  # candidates looked at, in batches


class WeakUnit(Unit):
    """A unit that can be watched going."""

    __slots__ = ("__weakref__",)


def unit(cost=10, job="a", priority=5, bucket="b", deadline=None):
    return WeakUnit("payload", job, priority, cost, bucket, 0.0, deadline)


def room_with(*units):
    room = WaitingRoom()
    for each in units:
        room.add(each)
    return room


def test_a_one_liner_does_not_wait_for_the_book_before_it():
    room = room_with(*(unit(job="book") for _ in range(5000)))
    limits = Limits(10_000, 8)
    for _ in range(20):
        room.take(limits)
    line = unit(job="one-liner")
    room.add(line)
    taken = room.take(limits) + room.take(limits)
    assert line in taken


def test_a_job_that_hands_in_window_by_window_gets_no_more_than_its_share():
    """One job keeps 16 units waiting and refills, the other handed in all at once: both get half."""
    room = room_with(*(unit(job="all at once") for _ in range(2000)), *(unit(job="refills") for _ in range(16)))
    served = {"all at once": 0, "refills": 0}
    for _ in range(100):
        for taken in room.take(Limits(10_000, 8)):
            served[taken.job] += 1
            if taken.job == "refills":
                room.add(unit(job="refills"))
    assert abs(served["all at once"] - served["refills"]) <= 2 * 8 * WINDOW


def test_a_job_that_comes_late_has_no_arrears_to_collect():
    """The book goes on at half speed; it does not stand still until the newcomer has had as much as it had."""
    room = room_with(*(unit(job="book") for _ in range(3000)))
    for _ in range(100):
        room.take(Limits(10_000, 8))
    for _ in range(1000):
        room.add(unit(job="newcomer"))
    taken = [each.job for _ in range(50) for each in room.take(Limits(10_000, 8))]
    assert taken.count("newcomer") == pytest.approx(200, abs=8 * WINDOW)
    assert taken.count("book") == pytest.approx(200, abs=8 * WINDOW)


def test_a_job_with_longer_units_gets_the_same_cost_not_the_same_count():
    room = room_with(*(unit(300, "long") for _ in range(400)), *(unit(100, "short") for _ in range(400)))
    served = {"long": 0, "short": 0}
    for _ in range(60):
        for taken in room.take(Limits(10_000, 4)):
            served[taken.job] += taken.cost
    assert served["long"] == pytest.approx(served["short"], abs=4 * WINDOW * 300)


def test_a_job_whose_units_were_thrown_out_is_not_made_to_pay_for_them():
    room = room_with(unit(10, "other"), *(given_up := [unit(500, "a") for _ in range(100)]))
    for each in given_up:
        room.throw_out(each)
    for _ in range(50):
        room.add(unit(10, "other"))
    room.add(fresh := unit(10, "a"))
    taken = room.take(Limits(10_000, 4)) + room.take(Limits(10_000, 4))
    assert fresh in taken


def test_a_unit_put_back_comes_first_in_its_priority():
    room = room_with(*(unit(job="a") for _ in range(20)))
    back = room.take(Limits(10_000, 4))
    for each in back:
        room.add(each, again=True)
    assert set(room.take(Limits(10_000, 4))) == set(back)


def test_units_put_back_come_first_even_after_the_room_was_empty():
    room = room_with(*(unit(job="a") for _ in range(8)))
    room.take(Limits(10_000, 4))
    back = room.take(Limits(10_000, 4))
    assert not room
    for _ in range(20):
        room.add(unit(job="b"))
    for each in back:
        room.add(each, again=True)
    assert set(room.take(Limits(10_000, 4))) == set(back)


def test_units_thrown_out_are_let_go_while_others_wait():
    room = room_with(unit(job="waits"))
    left = [weakref.ref(each) for each in [unit(job="a") for _ in range(1000)] if not room.add(each)]
    for each in list(room)[1:]:
        room.throw_out(each)
    del each
    gc.collect()
    assert len(room) == 1
    assert sum(ref() is not None for ref in left) <= 66


@pytest.mark.slow
def test_choosing_among_a_hundred_thousand_units_takes_hardly_longer_than_among_a_thousand():
    def seconds_of_a_choice(count):
        room = room_with(*(unit(1 + n * 7919 % 400, f"job {n % 50}", n % 3) for n in range(count)))
        times = []
        for _ in range(15):
            started = time.perf_counter()
            assert room.take(Limits(10**9, 32))
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    assert seconds_of_a_choice(100_000) < 20 * seconds_of_a_choice(1_000)


def test_units_that_have_left_are_let_go_before_their_deadline():
    room = room_with(unit(job="keeps waiting", priority=0))
    left = []
    for n in range(300):
        each = unit(job="a", deadline=1e9)
        left.append(weakref.ref(each))
        room.add(each)
        if n % 2:
            room.throw_out(each)
        else:
            room.take(Limits(10_000, 2))
            room.add(unit(job="keeps waiting", priority=0))
    del each
    gc.collect()
    assert sum(ref() is not None for ref in left) <= 64 + 65  # what heap and deadlines keep between two sweeps


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 50), min_size=60, max_size=200),
    st.lists(st.integers(1, 50), min_size=60, max_size=200),
    st.integers(1, 6),
)
def test_two_jobs_that_both_wait_are_served_alike(first, second, rows):
    """At any time while both wait, their served costs differ by no more than what the window can hold."""
    room = room_with(*(unit(cost, "first") for cost in first), *(unit(cost, "second") for cost in second))
    served = {"first": 0, "second": 0}
    while {waiting.job for waiting in room} == {"first", "second"}:
        for taken in room.take(Limits(10**6, rows)):
            served[taken.job] += taken.cost
        bound = 50 * (max(rows, WINDOW * rows) + 1)
        assert abs(served["first"] - served["second"]) <= bound


class Model(RuleBasedStateMachine):
    """The room against a plain list of what should be in it."""

    def __init__(self):
        super().__init__()
        self.room = WaitingRoom()
        self.units = []
        self.taken = []
        self.now = 0.0

    @rule(
        cost=st.integers(1, 40),
        job=st.sampled_from("abc"),
        priority=st.integers(0, 2),
        bucket=st.sampled_from("xy"),
        patience=st.one_of(st.none(), st.integers(0, 5)),
        count=st.integers(1, 90),
    )
    def add(self, cost, job, priority, bucket, patience, count):
        for n in range(count):
            deadline = None if patience is None else self.now + patience
            self.units.append(unit(1 + (cost + n) % 40, job, priority, bucket, deadline))
            self.room.add(self.units[-1])

    @precondition(lambda self: self.units)
    @rule(data=st.data())
    def throw_out(self, data):
        for each in data.draw(st.lists(st.sampled_from(self.units), unique_by=id)):
            self.room.throw_out(each)
            self.units.remove(each)

    @precondition(lambda self: self.taken)
    @rule()
    def put_back(self):
        for each in self.taken:
            each.started = True
            self.room.add(each, again=True)
        self.units += self.taken
        self.taken = []

    @rule(seconds=st.integers(1, 4))
    def expire(self, seconds):
        self.now += seconds
        late = [each for each in self.units if each.deadline is not None and each.deadline <= self.now]
        found = self.room.expire(self.now)
        assert len(found) == len(late)
        assert set(found) == set(late)
        self.units = [each for each in self.units if each not in late]

    @rule(max_cost=st.integers(20, 400), rows=st.integers(1, 20), before=st.none() | st.integers(0, 3))
    def take(self, max_cost, rows, before):
        batch = self.room.take(Limits(max_cost, rows), before)
        allowed = [each for each in self.units if before is None or each.priority < before]
        assert bool(batch) == bool(allowed)
        assert len(set(batch)) == len(batch)
        if not batch:
            return
        assert set(batch) <= set(allowed)
        assert min(each.priority for each in batch) == min(each.priority for each in allowed)
        assert len({each.bucket for each in batch}) == 1
        assert batch == sorted(batch, key=lambda each: (each.priority, -each.cost))
        for each in batch:
            self.units.remove(each)  # raises if it was not there
        self.taken = batch

    @invariant()
    def the_counts_agree(self):
        assert len(self.room) == len(self.units)
        assert set(self.room) == set(self.units)
        counts = self.room.by_priority()
        assert counts == {p: sum(u.priority == p for u in self.units) for p in counts}
        for bucket in "xy":
            limit = Limits(10**6, max(1, sum(u.bucket == bucket for u in self.units)))
            assert self.room.fills(bucket, limit) == any(u.bucket == bucket for u in self.units)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
