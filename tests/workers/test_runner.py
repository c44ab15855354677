"""What happens to a delivery: real ledger, real scheduler, an engine that multiplies numbers."""

import threading
import time

import pytest
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisSlow

from jobs.errors import StoreError
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output
from jobs.states import Kind, Status
from workers.batching import BatchScheduler
from workers.gate import Gate
from workers.leases import LeaseKeeper
from workers.runner import Runner
from workers.session import JobFailed, Session, Wish
from workers.units import run_units

PATIENCE = 30


class Doubler:
    """Doubles integers; `blocked` payloads wait for `go`, negative ones fail."""

    def __init__(self):
        self.go = threading.Event()
        self.entered = threading.Event()
        self.ran = []

    def cost(self, payload):
        return 1

    def bucket(self, payload):
        return 0

    def run(self, payloads):
        self.entered.set()
        assert self.go.wait(PATIENCE)
        self.ran += payloads
        if min(payloads) < 0:
            raise ValueError("negative")
        return [2 * payload for payload in payloads]


class Sent(list):
    """Stands where the broker stands: keeps the deliveries that were sent."""

    def send(self, deliveries):
        self.extend(deliveries)


class Process:
    """The parts of a worker process that a delivery meets."""

    def __init__(self, redis, *, max_rows=2, threads=4, slice_seconds=60, lease_seconds=15):
        self.engine = Doubler()
        self.scheduler = BatchScheduler(self.engine, max_cost=100, max_rows=max_rows, linger_seconds=0)
        self.scheduler.start()
        self.ledger = Ledger(redis, lease_seconds=lease_seconds)
        self.queries = Queries(redis)
        self.sent = Sent()
        self.wished = threading.Event()
        self.leases = LeaseKeeper(self.ledger, "tts", threads=threads, slice_seconds=slice_seconds)
        self.leases.start()
        self.gate = Gate()
        self.runner = Runner(self.ledger, self.sent, self.leases, self.gate, "worker")

    def submit(self, numbers, **fields):
        known = {"id": new_id(), "kind": Kind.TTS, "queue": "tts", "priority": 4, "owner": "o"}
        spec = "[" + ",".join(map(str, numbers)) + "]"
        return self.ledger.submit(NewJob(**(known | fields), spec=spec)).delivery

    def work(self, session: Session) -> Output:
        want = session.want
        session.want = lambda wish: (want(wish), self.wished.set())
        numbers = session.job.spec
        results = {int(name): unit["n"] for name, unit in session.units().items()}

        def done(name, future):
            results[int(name)] = future.result()
            session.register(name, {"n": future.result()}, done=len(results), total=len(numbers))

        todo = ((str(i), n) for i, n in enumerate(numbers) if i not in results)
        run_units(session, self.scheduler, todo, done, window=4)
        return Output(text=str([results[i] for i in range(len(numbers))]))

    def run(self, delivery):
        return self.runner.run(delivery.id, delivery.sequence, self.work)

    def run_in_thread(self, delivery):
        outcome = []

        def run():
            try:
                outcome.append(self.run(delivery))
            except JobFailed as failure:
                outcome.append(failure)

        thread = threading.Thread(target=run)
        thread.start()
        return thread, outcome

    def end(self):
        self.engine.go.set()
        self.leases.stop()
        self.scheduler.stop(False)


@pytest.fixture
def process(redis):
    made = Process(redis)
    yield made
    made.end()


def test_a_delivery_ends_in_one_visible_result(process):
    process.engine.go.set()
    delivery = process.submit([1, 2, 3])
    assert process.run(delivery) == "succeeded"
    job = process.queries.get(delivery.id)
    assert (job.status, job.output["text"], job.done, job.total) == (Status.SUCCEEDED, "[2, 4, 6]", 3, 3)
    assert process.run(delivery) == "succeeded"  # a late copy of the message finds nothing to do
    assert process.queries.get(delivery.id).attempt == 1
    assert sorted(process.engine.ran) == [1, 2, 3]


def test_a_failing_job_is_failed_and_raises(process):
    process.engine.go.set()
    delivery = process.submit([1, -1])
    with pytest.raises(JobFailed):
        process.run(delivery)
    job = process.queries.get(delivery.id)
    assert job.status is Status.FAILED
    assert job.error["type"] == "internal_error"
    assert "Traceback" not in job.error["detail"]


def test_a_cancelled_running_job_stops_at_the_next_unit(process):
    delivery = process.submit(range(1, 20))
    thread, outcome = process.run_in_thread(delivery)
    assert process.engine.entered.wait(PATIENCE)
    process.ledger.cancel(delivery.id)
    thread.join(PATIENCE)  # while the engine is still busy with the first batch
    assert outcome == ["canceled"]
    assert process.queries.get(delivery.id).status is Status.CANCELED
    process.engine.go.set()
    process.scheduler.stop(True, PATIENCE)
    assert len(process.engine.ran) <= 2


def test_a_drained_job_keeps_its_running_batch_and_goes_to_the_front(process):
    delivery = process.submit(range(1, 20))
    thread, outcome = process.run_in_thread(delivery)
    assert process.engine.entered.wait(PATIENCE)
    process.leases.drain()
    process.engine.go.set()
    thread.join(PATIENCE)
    assert outcome == ["released"]
    job = process.queries.get(delivery.id)
    assert (job.status, job.deaths) == (Status.QUEUED, 0)
    [again] = process.sent
    assert again.step < delivery.step
    finished = process.ledger.units(delivery.id)
    assert sorted(int(name) + 1 for name in finished) == sorted(process.engine.ran)  # nothing computed is thrown away


def test_what_comes_while_the_process_drains_is_passed_on_untouched(process):
    delivery = process.submit([1])
    process.leases.drain()
    assert process.run(delivery) == "passed on"
    assert process.sent == [delivery]
    assert process.queries.get(delivery.id).attempt == 0


def test_the_next_attempt_goes_on_after_the_last_unit(process, redis):
    process.engine.go.set()
    delivery = process.submit(range(1, 9))
    claim = process.ledger.claim(delivery.id, delivery.sequence, "dead")
    for i in range(5):
        process.ledger.register(claim, str(i), {"n": 2 * (i + 1)}, done=i + 1, total=8)
    redis.zadd("vq:leases", {delivery.id: 1})
    [again] = process.ledger.recover().deliveries
    assert process.run(again) == "succeeded"
    assert sorted(process.engine.ran) == [6, 7, 8]
    assert process.queries.get(delivery.id).output["text"] == str([2 * i for i in range(1, 9)])


def test_a_process_that_slept_can_neither_register_nor_commit(process, redis):
    delivery = process.submit([1, 2, 3, 4, 5])
    thread, outcome = process.run_in_thread(delivery)
    assert process.engine.entered.wait(PATIENCE)
    redis.zadd("vq:leases", {delivery.id: 1})
    [again] = process.ledger.recover().deliveries
    other = process.ledger.claim(again.id, again.sequence, "other")
    process.ledger.succeed(other, Output(text="the other's"))
    process.engine.go.set()
    thread.join(PATIENCE)
    assert outcome == ["lost"]
    assert process.queries.get(delivery.id).output["text"] == "the other's"


def test_a_job_past_its_deadline_fails(process):
    delivery = process.submit([1, 2], timeout_seconds=0.2)
    thread, outcome = process.run_in_thread(delivery)
    thread.join(PATIENCE)
    assert isinstance(outcome[0], JobFailed)
    assert process.queries.get(delivery.id).error["type"] == "deadline_exceeded"


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_deadline_is_by_the_clock_of_redis_whatever_the_hosts_says(process, monkeypatch, hours):
    elsewhere = time.time() + hours * 3600
    monkeypatch.setattr("time.time", lambda: elsewhere)
    process.engine.go.set()
    seen = []

    def work(session):
        seen.append(session.deadline - time.monotonic())
        return process.work(session)

    delivery = process.submit([1, 2], timeout_seconds=60)
    assert process.runner.run(delivery.id, delivery.sequence, work) == "succeeded"
    assert 0 < seen[0] <= 60


def test_a_bulk_job_makes_room_for_an_urgent_one_when_all_threads_are_taken(redis):
    process = Process(redis, threads=1)
    try:
        bulk = process.submit(range(1, 20), priority=7)
        thread, outcome = process.run_in_thread(bulk)
        assert process.engine.entered.wait(PATIENCE)
        urgent = process.submit([50], priority=1)
        end = time.monotonic() + PATIENCE
        while process.leases._snapshot() and process.leases._snapshot()[0].wish is not Wish.YIELD:
            assert time.monotonic() < end
            time.sleep(0.01)
        process.engine.go.set()
        thread.join(PATIENCE)
        assert outcome == ["released"]
        [again] = process.sent
        assert again.step == bulk.step  # to the back of its own line, not to the front
        assert process.run(urgent) == "succeeded"
        assert process.run(again) == "succeeded"
        assert sorted(process.engine.ran) == sorted([50, *range(1, 20)])
    finally:
        process.end()


def test_slices_are_not_held_against_a_job(process):
    """A long chapter gives its thread back a hundred times; it is neither suspected nor ended for that."""
    process.engine.go.set()
    delivery = process.submit([1])

    def a_slice(session):
        session.want(Wish.YIELD)
        session.check()

    for _ in range(30):
        assert process.runner.run(delivery.id, delivery.sequence, a_slice) == "released"
        delivery = process.sent.pop()
    assert process.run(delivery) == "succeeded"
    job = process.queries.get(delivery.id)
    assert (job.attempt, job.deaths, job.alone) == (31, 0, False)


def test_a_job_that_was_in_hand_at_two_deaths_runs_alone(process, redis):
    delivery = process.submit([1])
    for _ in range(2):
        process.ledger.claim(delivery.id, delivery.sequence, "dies")
        redis.zadd("vq:leases", {delivery.id: 1})
        [delivery] = process.ledger.recover().deliveries
    innocent = process.submit([2])
    innocent_thread, innocent_outcome = process.run_in_thread(innocent)
    assert process.engine.entered.wait(PATIENCE)
    suspect_thread, suspect_outcome = process.run_in_thread(delivery)
    assert redis.hget(f"vq:job:{delivery.id}", "alone_now") == "0"  # waits for the innocent one
    process.engine.go.set()
    innocent_thread.join(PATIENCE)
    suspect_thread.join(PATIENCE)
    assert innocent_outcome == suspect_outcome == ["succeeded"]


class FailingStore:
    """A handler whose store fails some times before the work is done."""

    def __init__(self, work, failures, code="store_failed"):
        self.work, self.left, self.code = work, failures, code
        self.failed = threading.Event()

    def __call__(self, session):
        self.session = session
        session.after_commit.append(lambda: None)
        if self.left:
            self.left -= 1
            self.failed.set()
            raise StoreError(self.code, "the bucket is away")
        assert len(session.after_commit) == 1
        return self.work(session)


class TestStoreAway:
    """A store that fails: the job goes on when it is back, and fails with its reason when it is not."""

    @pytest.fixture(autouse=True)
    def short_pauses(self, monkeypatch):
        monkeypatch.setattr("workers.runner.STORE_PAUSES", (0.01, 0.02, 0.03))

    def run(self, process, handler):
        process.engine.go.set()
        delivery = process.submit([1, 2])
        return delivery.id, process.runner.run(delivery.id, delivery.sequence, handler)

    def test_an_outage_is_waited_for_in_the_same_attempt(self, process):
        job_id, outcome = self.run(process, FailingStore(process.work, failures=3))
        assert outcome == "succeeded"
        assert process.queries.get(job_id).attempt == 1

    @pytest.mark.parametrize(("code", "tries"), [("store_failed", 4), ("store_full", 4), ("too_large_for_redis", 1)])
    def test_a_store_that_stays_away_fails_the_job_with_its_reason(self, process, code, tries):
        handler = FailingStore(process.work, failures=9, code=code)
        with pytest.raises(JobFailed, match="the bucket is away"):
            self.run(process, handler)
        assert 9 - handler.left == tries

    def test_a_job_that_takes_turns_with_others_fails_all_the_same(self, process):
        """Each slice would begin the tries anew, and a full disk would keep a book running for ever."""
        handler = FailingStore(process.work, failures=99)

        def in_turns(session):
            session.want(Wish.YIELD)
            if handler.left < 99:  # the first wish comes while the store is written to, the others before
                session.check()
            return handler(session)

        with pytest.raises(JobFailed, match="the bucket is away"):
            self.run(process, in_turns)
        assert 99 - handler.left == 4

    def test_each_finished_unit_gives_all_tries_back(self, process):
        """A long chapter may meet more outages than there are tries."""
        units = iter(range(9))

        def work(session):
            for unit in units:
                session.register(str(unit), {"n": unit}, done=unit, total=9)
                raise StoreError("store_failed", "the bucket is away")
            return Output(text="done")

        job_id, outcome = self.run(process, work)
        assert (outcome, process.queries.get(job_id).attempt) == ("succeeded", 1)

    def test_redis_away_is_waited_for_however_long(self, process, monkeypatch):
        """A handler reads the ledger, too: what it raises then is no fault of the job's."""
        monkeypatch.setattr("workers.runner.REDIS_PAUSE", 0.01)
        outages = iter([RedisAway("refused")] * 8 + [RedisSlow("no answer")] * 8)

        def work(session):
            for outage in outages:
                raise outage
            return process.work(session)

        job_id, outcome = self.run(process, work)
        assert (outcome, process.queries.get(job_id).attempt) == ("succeeded", 1)

    @pytest.mark.parametrize(("wish", "outcome"), [(Wish.CANCEL, "canceled"), (Wish.DRAIN, "released")])
    def test_nobody_waits_for_a_pause_to_end(self, process, monkeypatch, wish, outcome):
        monkeypatch.setattr("workers.runner.STORE_PAUSES", (PATIENCE,))
        handler = FailingStore(process.work, failures=1)
        delivery = process.submit([1])
        found = []
        thread = threading.Thread(
            target=lambda: found.append(process.runner.run(delivery.id, delivery.sequence, handler))
        )
        thread.start()
        assert handler.failed.wait(PATIENCE)
        for wanted in (Wish.YIELD, wish):
            handler.session.want(wanted)
        thread.join(PATIENCE / 2)
        assert found == [outcome]


def test_a_drained_queue_is_given_back_after_the_running_batch_and_goes_on_from_there(process):
    delivery = process.submit(range(1, 20))
    thread, outcome = process.run_in_thread(delivery)
    assert process.engine.entered.wait(PATIENCE)
    process.ledger.hold("queue:tts", drain=True)
    assert process.wished.wait(PATIENCE)
    process.engine.go.set()
    thread.join(PATIENCE)
    assert outcome == ["released"]
    assert len(process.engine.ran) < 19
    [again] = process.sent
    assert process.run(again) == "held"
    assert (process.runner.claims, process.runner.heard) == (1, 2)
    process.ledger.free("queue:tts")
    [freed] = process.ledger.unpark()
    assert process.run(freed) == "succeeded"
    assert sorted(process.engine.ran) == list(range(1, 20))
