"""An engine that hands out its rows one by one: results come at once, and what is urgent passes between two rows."""

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.batching import BatchScheduler, EngineBroken, SchedulerStopped

PATIENCE = 30.0


@pytest.fixture(scope="session")
def streaming_engine(dummy_engine):
    class Streaming(dummy_engine):
        """Rows come out in order, each when a permit is there; ``rows`` notes them, a bad one raises at its turn."""

        def __init__(self, *, bad=(), memory=None, fatal=(), permits=None):
            super().__init__(bad, memory, fatal)
            self.permits = None if permits is None else threading.Semaphore(permits)
            self.rows = []

        def run(self, payloads):
            self.begin(payloads)
            for place, payload in enumerate(payloads):
                if self.permits is not None:
                    assert self.permits.acquire(timeout=PATIENCE)
                if payload in self.fatal:
                    raise RuntimeError("CUDA error: an illegal memory access was encountered")
                if payload in self.bad:
                    raise ValueError("a bad payload")
                self.rows.append(payload)
                yield place, -payload

    return Streaming


def batch_of(scheduler, engine, payloads, **options):
    """Submit units that share the first batch; return their futures once the engine has begun."""
    engine.open.clear()
    futures = [scheduler.submit(payload, job="book", **options) for payload in payloads]
    assert engine.entered.acquire(timeout=PATIENCE)
    return futures


def test_a_row_has_its_result_while_the_rest_of_its_batch_runs(scheduler_of, streaming_engine):
    engine = streaming_engine(permits=2)
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    futures = batch_of(scheduler, engine, [14, 13, 12, 11])
    engine.open.set()
    assert [future.result(PATIENCE) for future in futures[:2]] == [-14, -13]
    assert not any(future.done() for future in futures[2:])
    engine.permits.release(2)
    assert [future.result(PATIENCE) for future in futures] == [-14, -13, -12, -11]
    assert engine.runs == [[14, 13, 12, 11]]
    stats = scheduler.stats()
    assert (stats.units, stats.batches, stats.rows) == (4, 1, 4)


def test_what_is_urgent_passes_between_two_rows_and_nothing_else_does(scheduler_of, streaming_engine):
    engine = streaming_engine(permits=0)
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    book = batch_of(scheduler, engine, [14, 13, 12, 11], priority=7)
    engine.open.set()
    others = [scheduler.submit(20, job="other", priority=7), scheduler.submit(21, job="another", priority=9)]
    urgent = [scheduler.submit(30, job="urgent", priority=0), scheduler.submit(31, job="less", priority=5)]
    engine.permits.release(100)
    scheduler.stop(drain=True, timeout=PATIENCE)
    assert [future.result(0) for future in book + others + urgent] == [-14, -13, -12, -11, -20, -21, -30, -31]
    assert engine.rows == [14, 30, 31, 13, 12, 11, 20, 21]


def test_the_most_urgent_rows_of_a_batch_come_first(scheduler_of, streaming_engine):
    engine = streaming_engine()
    scheduler = scheduler_of(engine, max_rows=3, linger_seconds=1e6, start=False)
    futures = [scheduler.submit(payload, job="a", priority=p) for payload, p in ((30, 0), (31, 7), (29, 7))]
    scheduler.start()
    scheduler.stop(drain=True, timeout=PATIENCE)
    assert [future.result(0) for future in futures] == [-30, -31, -29]
    assert engine.rows[0] == 30


def test_a_row_that_fails_leaves_the_results_before_it_and_fails_alone(scheduler_of, streaming_engine):
    engine = streaming_engine(bad={13})
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    futures = batch_of(scheduler, engine, [14, 13, 12, 11])
    engine.open.set()
    assert isinstance(futures[1].exception(PATIENCE), ValueError)
    assert [futures[n].result(PATIENCE) for n in (0, 2, 3)] == [-14, -12, -11]
    assert sorted(engine.rows) == [11, 12, 14], "nothing that had its result ran again"


def test_a_stop_without_drain_ends_the_row_and_not_the_batch(scheduler_of, streaming_engine):
    engine = streaming_engine(permits=1)
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    futures = batch_of(scheduler, engine, [14, 13, 12, 11])
    engine.open.set()
    assert futures[0].result(PATIENCE) == -14
    assert not scheduler.stop(drain=False, timeout=0)
    engine.permits.release(1)
    assert scheduler.stop(drain=False, timeout=PATIENCE)
    assert futures[1].result(0) == -13
    for future in futures[2:]:
        with pytest.raises(SchedulerStopped):
            future.result(0)
    assert scheduler.stats().units == 4


def test_a_stream_that_ends_too_soon_is_an_error_not_a_mix_up(scheduler_of, streaming_engine):
    engine = streaming_engine()
    plain = engine.run
    engine.run = lambda payloads: (found for found in plain(payloads) if found[1] != -13)
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    futures = batch_of(scheduler, engine, [14, 13, 12, 11])
    engine.open.set()
    assert "results for 1 units" in str(futures[1].exception(PATIENCE))
    assert [futures[n].result(PATIENCE) for n in (0, 2, 3)] == [-14, -12, -11]


def test_a_fatal_error_of_those_let_pass_fails_the_batch_that_waited_too(scheduler_of, streaming_engine):
    engine = streaming_engine(fatal={30}, permits=0)
    scheduler = scheduler_of(engine, max_rows=4, linger_seconds=1e6)
    futures = batch_of(scheduler, engine, [14, 13, 12, 11], priority=7)
    engine.open.set()
    futures.append(scheduler.submit(30, job="urgent", priority=0))
    engine.permits.release(100)
    assert futures[0].result(PATIENCE) == -14
    for future in futures[1:]:
        assert isinstance(future.exception(PATIENCE), EngineBroken)


def test_the_time_of_those_let_pass_is_not_the_batchs(scheduler_of, streaming_engine, clock):
    engine = streaming_engine(permits=0)
    plain = engine.run

    def run(payloads):
        for found in plain(payloads):
            clock.time += 10 if -found[1] == 30 else 1
            yield found

    engine.run = run
    scheduler = scheduler_of(engine, max_rows=2, linger_seconds=1e6, clock=clock)
    futures = batch_of(scheduler, engine, [14, 13], priority=7)
    engine.open.set()
    futures.append(scheduler.submit(30, job="urgent", priority=0))
    engine.permits.release(3)
    assert [future.result(PATIENCE) for future in futures] == [-14, -13, -30]
    assert scheduler.stats().engine_busy_seconds == pytest.approx(12)


@settings(max_examples=60, deadline=None)
@given(
    units=st.lists(
        st.tuples(st.integers(1, 300), st.integers(0, 3), st.sampled_from("abcd"), st.integers(0, 1), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    max_rows=st.integers(1, 12),
    memory=st.one_of(st.none(), st.integers(300, 1500)),
)
def test_whatever_fails_every_unit_ends_once_and_as_its_own(streaming_engine, units, max_rows, memory):
    payloads = [bucket * 1_000_000 + i * 1000 + cost for i, (cost, _priority, _job, bucket, _bad) in enumerate(units)]
    bad = {p for p, unit in zip(payloads, units, strict=True) if unit[-1]}
    engine = streaming_engine(bad=bad, memory=memory)
    scheduler = BatchScheduler(engine, max_cost=2000, max_rows=max_rows, linger_seconds=0.0)
    scheduler.start()
    futures = [
        scheduler.submit(p, job=job, priority=priority)
        for p, (_cost, priority, job, _bucket, _bad) in zip(payloads, units, strict=True)
    ]
    for payload, future in zip(payloads, futures, strict=True):
        if payload in bad:
            assert isinstance(future.exception(PATIENCE), ValueError)
        else:
            assert future.result(PATIENCE) == -payload
    assert scheduler.stop(drain=True, timeout=PATIENCE)
    assert sorted(engine.rows) == sorted(set(payloads) - bad), "each row came out once"
    assert scheduler.stats().units == len(units)
