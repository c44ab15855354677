"""The batch scheduler as its callers see it: results, order, batches, cancelling, deadlines, stopping."""

import gc
import threading
import weakref
from concurrent.futures import CancelledError, wait

import pytest

from workers.batching import BatchScheduler, DeadlinePassed, SchedulerStopped

PATIENCE = 30.0


def results(futures):
    return [future.result(PATIENCE) for future in futures]


def test_results_go_to_their_own_futures(scheduler_of, dummy_engine):
    scheduler = scheduler_of(dummy_engine())
    futures = [scheduler.submit(n, job="a") for n in range(1, 200)]
    assert results(futures) == [-n for n in range(1, 200)]


def test_what_waits_while_the_engine_runs_shares_batches(scheduler_of, dummy_engine):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine)
    first = scheduler.submit(50, job="first")
    assert engine.entered.acquire(timeout=PATIENCE)
    rest = [scheduler.submit(50 + n, job=f"job {n}") for n in range(16)]
    assert scheduler.stats().waiting == {5: 16}
    engine.open.set()
    results([first, *rest])
    assert [len(run) for run in engine.runs] == [1, 8, 8]
    stats = scheduler.stats()
    assert (stats.units, stats.batches, stats.rows) == (17, 3, 17)
    assert stats.mean_batch_rows == pytest.approx(17 / 3)
    assert 0 < stats.padding_ratio < 0.1
    assert stats.wait_seconds.count == 17
    assert stats.waiting == {}


def test_an_interactive_unit_overtakes_a_book(scheduler_of, dummy_engine):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine)
    book = [scheduler.submit(100, job="book", priority=9) for _ in range(100)]
    assert engine.entered.acquire(timeout=PATIENCE)
    urgent = scheduler.submit(7, job="urgent", priority=0)
    engine.open.set()
    results([urgent, *book])
    assert engine.runs[1][0] == 7
    assert len(engine.runs[1]) == 1  # the book's longer sentences would have made it wait


def test_units_of_different_buckets_never_share_a_batch(scheduler_of, dummy_engine):
    engine = dummy_engine()
    scheduler = scheduler_of(engine)
    results([scheduler.submit(10 + 1_000_000 * (n % 3), job="a") for n in range(60)])
    assert all(len({p // 1_000_000 for p in run}) == 1 for run in engine.runs)


def test_a_lonely_unit_lingers_and_no_longer_than_told(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, clock=clock, linger_seconds=0.5)
    assert clock.waits.get(timeout=PATIENCE) is None  # idle: waits for a unit, not for a time
    future = scheduler.submit(10, job="a")
    assert clock.waits.get(timeout=PATIENCE) == 0.5
    clock.advance(0.4)
    assert clock.waits.get(timeout=PATIENCE) == pytest.approx(0.1)
    assert not engine.runs
    clock.advance(0.1)
    assert future.result(PATIENCE) == -10
    assert scheduler.stats().wait_seconds.total == pytest.approx(0.5)


def test_more_units_within_the_linger_do_not_prolong_it(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, clock=clock, linger_seconds=0.5)
    clock.waits.get(timeout=PATIENCE)
    futures = [scheduler.submit(10, job="a")]
    clock.waits.get(timeout=PATIENCE)
    for _ in range(4):
        futures.append(scheduler.submit(10, job="b"))
        clock.advance(0.1)
        clock.waits.get(timeout=PATIENCE)
    clock.advance(0.1)
    assert results(futures) == [-10] * 5
    assert [len(run) for run in engine.runs] == [5]


@pytest.mark.parametrize(("share", "run_seconds"), [(0.5, 0.02), (1 / 32, 0.32)])
def test_lingering_never_takes_more_than_a_share_of_the_time_of_a_run(
    scheduler_of, dummy_engine, clock, share, run_seconds
):
    """Where batches take 20 ms, waiting 500 ms for company would leave the engine idle most of the time."""
    engine = dummy_engine()
    plain = engine.run

    def run(payloads):
        clock.time += run_seconds
        return plain(payloads)

    engine.run = run
    scheduler = scheduler_of(engine, clock=clock, linger_seconds=0.5, linger_share=share)
    clock.waits.get(timeout=PATIENCE)
    first = [scheduler.submit(10, job="a")]
    assert clock.waits.get(timeout=PATIENCE) == 0.5  # before the first run nobody knows its time
    first += [scheduler.submit(10, job="a") for _ in range(7)]
    results(first)
    assert clock.waits.get(timeout=PATIENCE) is None
    second = scheduler.submit(10, job="a")
    assert clock.waits.get(timeout=PATIENCE) == pytest.approx(0.01)
    clock.advance(0.01)
    assert second.result(PATIENCE) == -10


def test_a_full_batch_does_not_linger(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, clock=clock, linger_seconds=1e6)
    clock.waits.get(timeout=PATIENCE)
    assert results([scheduler.submit(10, job="a") for _ in range(8)]) == [-10] * 8
    assert results([scheduler.submit(600, job="a") for _ in range(17)][:1]) == [-600]  # full by cost


def test_a_unit_larger_than_the_limit_runs_alone(scheduler_of, dummy_engine):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, max_cost=500)
    results([scheduler.submit(n, job="a") for n in (900, 400, 300, 990)])
    assert [900] in engine.runs
    assert [990] in engine.runs


def test_cancelled_units_never_run(scheduler_of, dummy_engine):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine)
    first = scheduler.submit(1, job="first")
    assert engine.entered.acquire(timeout=PATIENCE)
    book = [scheduler.submit(100 + n, job="book") for n in range(20)]
    other = [scheduler.submit(200 + n, job="other") for n in range(20)]
    assert all(future.cancel() for future in book + other[:10])
    engine.open.set()
    assert results([first, *other[10:]]) == [-1, *(-200 - n for n in range(10, 20))]
    assert all(future.cancelled() for future in book + other[:10])
    assert {p for run in engine.runs for p in run} == {1, *range(210, 220)}
    assert scheduler.stats().cancelled == 30


def test_a_unit_past_its_deadline_fails_and_never_runs(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine, clock=clock)
    first = scheduler.submit(1, job="a")
    assert engine.entered.acquire(timeout=PATIENCE)
    late = scheduler.submit(2, job="a", deadline=clock.now() + 5)
    timely = scheduler.submit(3, job="a", deadline=clock.now() + 50)
    clock.time += 6
    engine.open.set()
    assert results([first, timely]) == [-1, -3]
    with pytest.raises(DeadlinePassed):
        late.result(PATIENCE)
    assert [2] not in engine.runs
    assert scheduler.stats().expired == 1


def test_stopping_with_drain_runs_what_waits(scheduler_of, dummy_engine):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, linger_seconds=1e6)
    futures = [scheduler.submit(1, job="a") for _ in range(3)]
    assert scheduler.stop(drain=True, timeout=PATIENCE)
    assert results(futures) == [-1] * 3
    assert scheduler.stats().state == "stopped"
    with pytest.raises(SchedulerStopped):
        scheduler.submit(1, job="a")


def test_stopping_without_drain_ends_the_running_batch_only(scheduler_of, dummy_engine):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine)
    running = scheduler.submit(1, job="a")
    assert engine.entered.acquire(timeout=PATIENCE)
    waiting = [scheduler.submit(2, job="a") for _ in range(3)]
    assert not scheduler.stop(drain=False, timeout=0.01)
    engine.open.set()
    assert scheduler.stop(drain=False, timeout=PATIENCE)
    assert running.result(PATIENCE) == -1
    for future in waiting:
        with pytest.raises(SchedulerStopped):
            future.result(PATIENCE)
    assert engine.runs == [[1]]


def test_stopping_before_the_start_leaves_nobody_waiting(dummy_engine):
    scheduler = BatchScheduler(dummy_engine(), max_cost=10, max_rows=1)
    future = scheduler.submit(1, job="a")
    assert scheduler.stop(drain=True)
    with pytest.raises(SchedulerStopped):
        future.result(PATIENCE)


def test_the_model_is_loaded_once_before_any_run_and_unloaded_at_the_end(scheduler_of, dummy_engine):
    engine = dummy_engine()
    log = []
    engine.load = lambda: log.append(("load", threading.current_thread().name))
    engine.unload = lambda: log.append(("unload", threading.current_thread().name))
    scheduler = scheduler_of(engine, name="engine thread")
    assert scheduler.wait_ready(PATIENCE)
    results([scheduler.submit(1, job="a") for _ in range(20)])
    scheduler.stop(drain=True, timeout=PATIENCE)
    assert log == [("load", "engine thread"), ("unload", "engine thread")]
    assert scheduler.stats().load_seconds is not None


def test_an_idle_model_is_unloaded_and_loaded_again_for_the_next_unit(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    log = []
    unloaded = threading.Event()
    engine.load = lambda: log.append("load")
    engine.unload = lambda: (log.append("unload"), unloaded.set())
    scheduler = scheduler_of(engine, clock=clock, idle_unload_seconds=60.0)
    assert scheduler.submit(1, job="a").result(PATIENCE) == -1
    while clock.waits.get(timeout=PATIENCE) != 60.0:
        pass
    clock.advance(60.0)
    assert unloaded.wait(PATIENCE)
    while clock.waits.get(timeout=PATIENCE) is not None:
        pass
    assert scheduler.stats().state == "unloaded"
    engine.open.clear()
    again = scheduler.submit(2, job="a")
    assert engine.entered.acquire(timeout=PATIENCE)
    assert engine.entered.acquire(timeout=PATIENCE)
    assert scheduler.pulse().state == "running"  # a state of loading would excuse it from the watchdog
    engine.open.set()
    assert again.result(PATIENCE) == -2
    assert log == ["load", "unload", "load"]


def test_progress_is_counted_from_the_arrival_of_work_after_idleness(scheduler_of, dummy_engine, clock):
    engine = dummy_engine()
    engine.open.clear()
    scheduler = scheduler_of(engine, clock=clock)
    clock.waits.get(timeout=PATIENCE)
    clock.time += 3600
    scheduler.submit(1, job="a")
    assert engine.entered.acquire(timeout=PATIENCE)
    stats = scheduler.stats()
    assert stats.has_work
    assert stats.running_since == stats.last_progress == clock.now()
    clock.time += 100
    assert scheduler.stats().last_progress == clock.now() - 100


def test_a_unit_without_a_cost_is_refused(scheduler_of, dummy_engine):
    with pytest.raises(ValueError, match="at least 1"):
        scheduler_of(dummy_engine()).submit(0, job="a")


def test_many_threads_submit_and_cancel_and_nothing_is_lost_or_doubled(scheduler_of, dummy_engine):
    engine = dummy_engine()
    scheduler = scheduler_of(engine, linger_seconds=0.001)
    futures, lock = {}, threading.Lock()

    def client(number):
        for n in range(200):
            payload = number * 1_000_000 % 3_000_000 + number * 10_000_000 + n * 1000 + 1 + n % 90
            future = scheduler.submit(payload, job=f"job {number}", priority=number % 3)
            with lock:
                futures[payload] = future
            if n % 7 == 0:
                future.cancel()
        if number % 4 == 3:
            with lock:
                mine = [future for payload, future in futures.items() if payload // 10_000_000 == number]
            for future in mine:
                future.cancel()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not wait(futures.values(), PATIENCE).not_done
    ran = [payload for run in engine.runs for payload in run]
    assert len(ran) == len(set(ran))
    for payload, future in futures.items():
        if future.cancelled():
            assert payload not in ran
            with pytest.raises(CancelledError):
                future.result()
        else:
            assert future.result() == -payload
    stats = scheduler.stats()
    assert stats.units == len(ran)
    assert stats.units + stats.cancelled == len(futures)


def test_neither_payload_nor_result_outlives_the_future(scheduler_of, dummy_engine):
    """Without waiting for the garbage collector: chunks of sound are large."""

    class Sound:
        def __init__(self, number):
            self.number = number

    engine = dummy_engine()
    engine.cost, engine.bucket = lambda _payload: 1, lambda _payload: 0
    engine.run = lambda payloads: [ValueError("odd") if p.number % 2 else Sound(-p.number) for p in payloads]
    scheduler = scheduler_of(engine)
    gc.collect()
    gc.disable()
    try:
        held = []
        for number in range(10, 20):
            payload = Sound(number)
            held.append(weakref.ref(payload))
            future = scheduler.submit(payload, job="a")
            del payload
            if future.exception(PATIENCE) is None:
                held.append(weakref.ref(future.result()))
            held.append(weakref.ref(future))
        del future
        scheduler.stop(drain=True, timeout=PATIENCE)
        assert [ref() for ref in held if ref() is not None] == []
    finally:
        gc.enable()
