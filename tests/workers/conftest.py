"""A dummy engine, a clock that only moves when told to, and a scheduler that is always stopped."""

import queue
import threading

import pytest

from workers.batching import BatchScheduler

PATIENCE = 30.0  # seconds until a wait for an event is called a failure


class DummyEngine:
    """Payloads are integers, which are their cost; the result of n is -n. Fails where it is told to."""

    def __init__(self, bad=(), memory=None, fatal=()):
        self.bad, self.memory, self.fatal = set(bad), memory, set(fatal)
        self.runs = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.open.set()

    def cost(self, payload):
        return payload % 1000

    def bucket(self, payload):
        return payload // 1_000_000

    def begin(self, payloads):
        self.runs.append(list(payloads))
        self.entered.release()
        assert self.open.wait(PATIENCE)
        if self.memory and max(p % 1000 for p in payloads) * len(payloads) > self.memory:
            raise MemoryError("the dummy's memory is full")

    def run(self, payloads):
        self.begin(payloads)
        if self.fatal.intersection(payloads):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        if self.bad.intersection(payloads):
            raise ValueError("a bad payload")
        return [-p for p in payloads]


class HandClock:
    """Time moves by ``advance`` only; ``waits`` tells for how long the engine thread goes to wait."""

    def __init__(self):
        self.time = 1000.0
        self.waits = queue.Queue()
        self.condition = None

    def now(self):
        return self.time

    def wait(self, condition, seconds):
        self.condition = condition
        self.waits.put(seconds)
        if not condition.wait(PATIENCE):
            raise AssertionError("nobody woke the engine thread")

    def advance(self, seconds):
        with self.condition:
            self.time += seconds
            self.condition.notify_all()


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture(scope="session")
def dummy_engine():
    return DummyEngine


@pytest.fixture
def scheduler_of():
    """Build schedulers that are stopped at the end of the test."""
    made = []

    def build(engine, *, start=True, **options):
        options = {"max_cost": 10_000, "max_rows": 8, "linger_seconds": 0.0} | options
        scheduler = BatchScheduler(engine, **options)
        made.append((scheduler, engine))
        if start:
            scheduler.start()
        return scheduler

    yield build
    for scheduler, engine in made:
        engine.open.set()
        assert scheduler.stop(drain=False, timeout=PATIENCE)
