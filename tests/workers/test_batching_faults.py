"""Engines that fail: by one unit, by memory, for good."""

import gc
import math
import threading
import weakref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.batching import BatchScheduler, EngineBroken

PATIENCE = 30.0


def outcomes(futures):
    errors = [future.exception(PATIENCE) for future in futures]
    return [future.result() if error is None else type(error) for future, error in zip(futures, errors, strict=True)]


def all_waiting(scheduler, engine, payloads, **options):
    """Submit payloads in such a way that the scheduler sees them all before it forms their first batch."""
    engine.open.clear()
    first = scheduler.submit(1, job="first")
    assert engine.entered.acquire(timeout=PATIENCE)
    futures = [scheduler.submit(p, job=f"job {p % 3}", **options) for p in payloads]
    engine.open.set()
    assert first.result(PATIENCE) == -1
    return futures


def test_a_failing_unit_fails_alone(scheduler_of, dummy_engine):
    engine = dummy_engine(bad={37})
    scheduler = scheduler_of(engine, max_rows=32)
    futures = all_waiting(scheduler, engine, range(30, 62))
    assert outcomes(futures) == [ValueError if p == 37 else -p for p in range(30, 62)]
    for p in range(30, 62):
        assert sum(p in run for run in engine.runs) <= 1 + math.log2(32)
    assert scheduler.submit(5, job="next").result(PATIENCE) == -5
    stats = scheduler.stats()
    assert (stats.units, stats.failed, stats.failed_runs) == (34, 1, 6)


def test_an_engine_may_fail_one_unit_without_a_second_run(scheduler_of, dummy_engine):
    engine = dummy_engine()
    plain = engine.run
    engine.run = lambda payloads: [ValueError("odd") if p % 2 else -p for p in payloads if plain([p])]
    scheduler = scheduler_of(engine)
    futures = [scheduler.submit(p, job="a") for p in (10, 11)]
    assert outcomes(futures) == [-10, ValueError]
    assert scheduler.stats().failed == 1


def test_too_few_results_are_an_error_not_a_mix_up(scheduler_of, dummy_engine):
    engine = dummy_engine()
    engine.run = lambda payloads: [-p for p in payloads if p != 13]
    scheduler = scheduler_of(engine, linger_seconds=1e6, max_rows=4)
    futures = [scheduler.submit(p, job="a") for p in (11, 12, 13, 14)]
    assert outcomes(futures) == [-11, -12, RuntimeError, -14]


def test_out_of_memory_halves_the_limits_until_the_batch_fits(scheduler_of, dummy_engine):
    engine = dummy_engine(memory=700)
    trimmed = threading.Event()
    engine.trim = trimmed.set
    scheduler = scheduler_of(engine, max_rows=16)
    futures = all_waiting(scheduler, engine, [100] * 16 + [101])
    assert outcomes(futures) == [-100] * 16 + [-101]
    stats = scheduler.stats()
    assert (stats.out_of_memory, stats.max_rows) == (2, 4)
    assert stats.max_cost < 700
    assert stats.failed == 0
    assert trimmed.is_set()


def test_the_limits_recover_after_a_greedy_unit(scheduler_of, dummy_engine):
    engine = dummy_engine(memory=700)
    scheduler = scheduler_of(engine, max_rows=16)
    futures = all_waiting(scheduler, engine, [900] + [301] * 5)
    assert outcomes(futures) == [MemoryError] + [-301] * 5
    assert scheduler.stats().max_rows < 16
    for _ in range(8 * 5):
        outcomes([scheduler.submit(20, job="a") for _ in range(16)])
        if scheduler.stats().max_rows == 16:
            break
    assert scheduler.stats().max_rows == 16


def test_an_engine_that_never_has_memory_again_is_broken(scheduler_of, dummy_engine):
    engine = dummy_engine(memory=10)
    scheduler = scheduler_of(engine, max_rows=1)
    futures = all_waiting(scheduler, engine, [50, 50, 50, 50])
    assert outcomes(futures) == [MemoryError, MemoryError, EngineBroken, EngineBroken]
    assert scheduler.stats().state == "broken"


def test_units_that_need_too_much_memory_now_and_then_break_nothing(scheduler_of, dummy_engine):
    scheduler = scheduler_of(dummy_engine(memory=500), max_rows=1)
    for _ in range(5):
        assert outcomes([scheduler.submit(900, job="a")]) == [MemoryError]
        assert outcomes([scheduler.submit(100, job="a")]) == [-100]


def test_an_error_does_not_hold_what_the_engine_had_in_hand(scheduler_of, dummy_engine):
    """Whoever keeps the error of a failed unit must not keep the tensors of its batch."""

    class Tensor:
        pass

    engine, held = dummy_engine(), []

    def run(payloads):
        tensor = Tensor()
        held.append(weakref.ref(tensor))
        raise ValueError("a bad payload")

    engine.run = run
    error = scheduler_of(engine).submit(1, job="a").exception(PATIENCE)
    gc.collect()
    assert error.__traceback__ is not None  # it still tells where
    assert held[0]() is None


def test_a_fatal_error_fails_everything_and_calls_for_a_new_process(scheduler_of, dummy_engine):
    engine = dummy_engine(fatal={40})
    told = []
    heard = threading.Event()
    scheduler = scheduler_of(engine, on_broken=lambda error: (told.append(error), heard.set()))
    futures = all_waiting(scheduler, engine, range(30, 60))
    assert set(outcomes(futures)) <= {EngineBroken} | {-p for p in range(30, 60)}
    assert outcomes(futures)[10] is EngineBroken
    assert outcomes(futures)[-1] is EngineBroken
    assert heard.wait(PATIENCE)
    assert "illegal memory access" in str(told[0])
    with pytest.raises(EngineBroken, match="illegal memory access"):
        scheduler.submit(1, job="a")
    assert scheduler.stop(drain=True, timeout=PATIENCE)


def test_a_model_that_cannot_be_loaded_breaks_the_scheduler(scheduler_of, dummy_engine):
    engine = dummy_engine()

    def load():
        raise FileNotFoundError("no such model")

    engine.load = load
    heard = threading.Event()
    scheduler = scheduler_of(engine, on_broken=lambda _error: heard.set(), start=False)
    future = scheduler.submit(1, job="a")
    scheduler.start()
    with pytest.raises(EngineBroken, match="no such model"):
        future.result(PATIENCE)
    with pytest.raises(EngineBroken):
        scheduler.wait_ready(PATIENCE)
    assert heard.wait(PATIENCE)


def test_stopping_without_drain_does_not_finish_the_hunt_for_a_bad_unit(scheduler_of, dummy_engine):
    engine = dummy_engine(bad={30})
    scheduler = scheduler_of(engine)
    plain = engine.run

    def run(payloads):
        if len(payloads) == 8:
            scheduler.stop(drain=False, timeout=0)
        return plain(payloads)

    engine.run = run
    futures = all_waiting(scheduler, engine, range(30, 38))
    assert {type(f.exception(PATIENCE)).__name__ for f in futures} == {"SchedulerStopped"}
    assert len(engine.runs) == 2


@settings(max_examples=60, deadline=None)
@given(
    units=st.lists(
        st.tuples(st.integers(1, 300), st.integers(0, 3), st.sampled_from("abcd"), st.integers(0, 1), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    max_rows=st.integers(1, 12),
    max_cost=st.integers(50, 2000),
    memory=st.one_of(st.none(), st.integers(300, 1500)),
)
def test_whatever_fails_every_unit_ends_once_and_as_its_own(dummy_engine, units, max_rows, max_cost, memory):
    """No unit lost or doubled, limits kept, only bad units fail, the others run O(log rows) times."""
    payloads = [bucket * 1_000_000 + i * 1000 + cost for i, (cost, _priority, _job, bucket, _bad) in enumerate(units)]
    bad = {p for p, unit in zip(payloads, units, strict=True) if unit[-1]}
    engine = dummy_engine(bad=bad, memory=memory)
    engine.open.clear()
    scheduler = BatchScheduler(engine, max_cost=max_cost, max_rows=max_rows, linger_seconds=0.0)
    scheduler.start()
    futures = [
        scheduler.submit(p, job=job, priority=priority)
        for p, (_cost, priority, job, _bucket, _bad) in zip(payloads, units, strict=True)
    ]
    engine.open.set()
    found = outcomes(futures)
    assert found == [ValueError if p in bad else -p for p in payloads]
    assert scheduler.stop(drain=True, timeout=PATIENCE)
    for run in engine.runs:
        assert len(run) <= max_rows
        assert len(run) == 1 or max(p % 1000 for p in run) * len(run) <= max_cost
        assert len({p // 1_000_000 for p in run}) == 1
    if memory is None:
        for p in payloads:
            assert sum(p in run for run in engine.runs) <= 1 + math.ceil(math.log2(max_rows))
    assert scheduler.stats().units == len(units)
