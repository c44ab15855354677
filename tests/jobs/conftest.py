"""A ledger that is asked everything twice, and a desk that moves jobs through it."""

import json

import pytest

from jobs.answers import NO_LIMITS
from jobs.connect import connect
from jobs.errors import LeaseLost
from jobs.ids import child_id, new_id
from jobs.ledger import Claim, Delivery, Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output, Problem
from jobs.states import Kind, Phase

BAD = Problem("bad", "Bad", "it went wrong")
LEASE_SECONDS = 3600  # tests end leases themselves


class TwiceLedger(Ledger):
    """Runs every script twice, as redis-py does when an answer was lost with its connection: the answers are equal."""

    twice = True

    def __init__(self, redis, **options):
        super().__init__(redis, **options)
        self._once = self._script
        self._script = self._twice

    def _twice(self, args, client=None):
        if client is not None:  # of a pipeline: tests repeat the whole of it
            return self._once(args=args, client=client)
        first = self._once(args=args)
        if not self.twice:
            return first
        second = self._once(args=args)
        assert json.loads(first) == json.loads(second), args
        return first


class Desk:
    """Takes jobs through their lives. What is due is kept in `sent`, by job: the newest delivery."""

    def __init__(self, redis, ledger):
        self.redis = redis
        self.ledger = ledger
        self.queries = Queries(redis)
        self.sent: dict[str, Delivery] = {}

    def new(self, **fields):
        fields = {"kind": Kind.TTS, "queue": "tts", "priority": 4, "owner": "ann", "spec": "{}"} | fields
        fields.setdefault("id", new_id())
        return NewJob(**fields)

    def submit(self, *, limits=NO_LIMITS, owner_limits=NO_LIMITS, **fields):
        found = self.ledger.submit(self.new(**fields), limits=limits, owner_limits=owner_limits)
        self.send([found.delivery])
        return found.id

    def send(self, deliveries):
        for delivery in deliveries:
            if delivery is not None:
                self.sent[delivery.id] = delivery

    def claim(self, job_id, worker="w"):
        """Claim by the newest delivery; a refusal is an answer, too."""
        found = self.ledger.claim(job_id, self.sent[job_id].sequence, worker)
        if not isinstance(found, Claim):
            self.send([found.wake])
        return found

    def start(self, **fields):
        return self.claim(self.submit(**fields))

    def succeed(self, claim, output=None):
        self.send([self.ledger.succeed(claim, output or Output(text="done"))])

    def fail(self, claim, problem=BAD):
        self.send([self.ledger.fail(claim, problem)])

    def give_up(self, claim):
        self.send([self.ledger.give_up(claim)])

    def release(self, claim, *, front=False):
        delivery = self.ledger.release(claim, front=front)
        self.send([delivery])
        return delivery

    def cancel(self, job_id):
        self.send(self.ledger.cancel(job_id))

    def retry(self, job_id):
        self.ledger.retry(job_id, self.send)

    def age_looks(self, seconds):
        """Let the sweepers' looks at the broker's lists have been long ago."""
        for key in self.redis.scan_iter("vq:looks:*"):
            looks = [look.partition(":") for look in self.redis.zrange(key, 0, -1)]
            aged = [(int(time) - 1000 * seconds, oldest) for time, _, oldest in looks]
            self.redis.delete(key)
            self.redis.zadd(key, {f"{time}:{oldest}": time for time, oldest in aged})

    def end_lease(self, job_id):
        """Let a lease run out, if there is one."""
        self.redis.zadd("vq:leases", {job_id: 1}, xx=True)

    def die(self, job_id):
        """The worker of a job dies, and a sweep finds it."""
        self.end_lease(job_id)
        found = self.ledger.recover()
        self.send(found.deliveries)
        return found

    def parent(self, children=3, *, planned=True, **fields):
        """Submit a parent with chapters, which waits for them if `planned`. Return its ID and theirs."""
        fields = {"kind": Kind.AUDIOBOOK, "queue": "cpu", "phase": Phase.PLANNING, "sums": True, "priority": 7} | fields
        parent = self.submit(**fields)
        claim = self.claim(parent)
        chapters = [self.child(parent, index) for index in range(children)]
        if planned:
            self.send([self.ledger.wait_for_children(claim)])
        return parent, chapters

    def child(self, parent, index, **fields):
        fields = {"kind": Kind.CHAPTER, "priority": 7} | fields
        return self.submit(id=child_id(parent, index), parent=parent, index=index, **fields)

    def job(self, job_id):
        return self.queries.get(job_id)

    def status(self, job_id):
        return self.job(job_id).status

    def drop(self, job_id):
        """Forget what is due for a job; answers whether something was."""
        return self.sent.pop(job_id, None) is not None


@pytest.fixture
def ledger(redis):
    ledger = TwiceLedger(redis, lease_seconds=LEASE_SECONDS)
    ledger.check_schema()
    return ledger


@pytest.fixture
def desk(redis, ledger):
    return Desk(redis, ledger)


@pytest.fixture
def lost():
    """Expect a lost lease."""
    return lambda: pytest.raises(LeaseLost)


@pytest.fixture(scope="session")
def desk_of(valkey):
    """Make desks of empty databases, for tests that need many in turn."""
    redis = connect(valkey.url)

    def make():
        redis.flushall()
        ledger = TwiceLedger(redis, lease_seconds=LEASE_SECONDS)
        ledger.check_schema()
        return Desk(redis, ledger)

    yield make
    redis.close()


@pytest.fixture
def at_phase(desk):
    """Bring a parent to a phase; its first child has succeeded, where it has any. Returns its ID and its children's."""

    def bring(phase, children=3):
        if phase == "queued":
            return desk.submit(kind=Kind.AUDIOBOOK, queue="cpu", phase=Phase.PLANNING), []
        parent, chapters = desk.parent(children, planned=phase != "planning")
        desk.succeed(desk.claim(chapters[0]))
        if phase in {"woken", "assembling"}:
            for chapter in chapters[1:]:
                desk.fail(desk.claim(chapter))
        if phase == "assembling":
            desk.claim(parent)
        return parent, chapters

    return bring
