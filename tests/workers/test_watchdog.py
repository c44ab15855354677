"""The watchdog: what it ends a process for, what it does not, and that it really ends it."""

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.watchdog import EXIT_CODE, ConsumerDeaf, EngineStalled, Watchdog

PATIENCE = 30.0
ROOT = Path(__file__).parents[2]


@dataclass
class Pulse:
    state: str = "running"
    has_work: bool = True
    last_progress: float = 1.0


def looks(check, count, seconds=10.0):
    return [check.look(seconds) for _ in range(count)]


def test_an_engine_without_progress_is_a_reason_after_the_limit():
    check = EngineStalled(Pulse, limit_seconds=30)
    reasons = looks(check, 4)
    assert reasons[:3] == [None] * 3
    assert "nothing done for 30 s" in reasons[3]


@pytest.mark.parametrize("excuse", [Pulse(state="loading"), Pulse(has_work=False)])
def test_loading_and_idling_are_no_reason(excuse):
    assert looks(EngineStalled(lambda: excuse, limit_seconds=30), 100) == [None] * 100


def test_every_progress_starts_the_count_anew():
    pulse = Pulse()
    check = EngineStalled(lambda: pulse, limit_seconds=30)
    for _ in range(10):
        assert looks(check, 3) == [None] * 3
        pulse.last_progress += 1
    assert looks(check, 4)[-1] is not None


def test_a_consumer_that_hears_nothing_while_jobs_wait_is_deaf():
    check = ConsumerDeaf(lambda: 7, lambda: 3, lambda: True, limit_seconds=30)
    reasons = looks(check, 4)
    assert reasons[:3] == [None] * 3
    assert "7 jobs wait" in reasons[3]


def redis_is_away():
    raise ConnectionError("Redis is away")


@pytest.mark.parametrize(
    ("waiting", "has_room"),
    [(lambda: 0, lambda: True), (lambda: 7, lambda: False), (redis_is_away, lambda: True)],
    ids=["nothing waits", "no thread is free", "nobody knows"],
)
def test_a_consumer_with_nothing_to_hear_is_not_deaf(waiting, has_room):
    assert looks(ConsumerDeaf(waiting, lambda: 3, has_room, limit_seconds=30), 100) == [None] * 100


def test_a_delivery_or_a_moment_without_waiting_jobs_starts_the_count_anew():
    heard, waiting = [0], [5]
    check = ConsumerDeaf(lambda: waiting[0], lambda: heard[0], lambda: True, limit_seconds=30)
    assert looks(check, 3) == [None] * 3
    heard[0] += 1
    assert looks(check, 3) == [None] * 3
    waiting[0] = 0
    assert looks(check, 1) == [None]
    waiting[0] = 5
    assert looks(check, 2) == [None] * 2
    assert looks(check, 1)[0] is not None


def test_a_hanging_check_hides_no_other():
    class Hangs:
        def look(self, seconds):
            threading.Event().wait(PATIENCE)

    reasons, told = [], threading.Event()
    watchdog = Watchdog(
        [Hangs(), EngineStalled(Pulse, limit_seconds=0.05)],
        every=0.01,
        end=lambda reason: (reasons.append(reason), told.set()),
    )
    watchdog.start()
    assert told.wait(PATIENCE)
    watchdog.stop()
    assert "nothing done" in reasons[0]


def test_time_in_which_the_process_stood_still_is_not_a_stall(monkeypatch):
    seen, looked = [], threading.Event()

    class Check:
        def look(self, seconds):
            seen.append(seconds)
            looked.set()

    hours = iter(range(0, 10**9, 3600))
    monkeypatch.setattr("workers.watchdog.time.monotonic", lambda: float(next(hours)))
    watchdog = Watchdog([Check()], every=0.01, end=lambda _reason: None)
    watchdog.start()
    assert looked.wait(PATIENCE)
    watchdog.stop()
    assert seen[0] == pytest.approx(0.02)


FROZEN_PROCESS = """
import ctypes, threading
from workers.watchdog import Watchdog

Watchdog([], every=0.05, frozen_seconds=0.5).start()
threading.Event().wait(1.0)
print("alive", flush=True)
ctypes.PyDLL(None).sleep(100)  # keeps the interpreter's lock
"""


def run(program):
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_a_process_that_is_frozen_as_a_whole_ends():
    ended = run(FROZEN_PROCESS)
    assert ended.stdout == "alive\n"
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


HUNG_WORKER = """
import logging, threading
from workers.batching import BatchScheduler
from workers.watchdog import EngineStalled, Watchdog

class Hangs:
    def cost(self, payload): return 1
    def bucket(self, payload): return 0
    def run(self, payloads): threading.Event().wait()

logging.basicConfig(level="INFO")
scheduler = BatchScheduler(Hangs(), max_cost=10, max_rows=1)
scheduler.start()
Watchdog([EngineStalled(scheduler.pulse, 0.2)], every=0.05).start()
scheduler.submit("a", job="a").result()
"""


@pytest.mark.slow
def test_a_process_with_a_hung_engine_ends_and_says_why():
    ended = run(HUNG_WORKER)
    assert ended.returncode == EXIT_CODE
    assert "the engine thread is running and has got nothing done" in ended.stderr
    assert "in run" in ended.stderr  # the stack of the thread that hangs
