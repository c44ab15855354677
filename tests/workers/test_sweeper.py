"""A sweep does all it can: what fails in it does not keep the rest from being done."""

import pytest
from redis.exceptions import ConnectionError as RedisAway

from jobs.connect import connect
from jobs.ids import new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.queries import Queries
from jobs.settings import Settings
from jobs.states import Kind, Status
from workers.sweeper import Sweeper


class Outbox(list):
    """Stands where the broker stands: finds nothing lost, keeps what is sent."""

    def send(self, deliveries):
        self.extend(deliveries)

    def call_webhooks(self, job_ids):
        self.extend(job_ids)

    def find_lost(self, ledger, grace_seconds):
        return []


class NoWebhooks:
    """Nothing is to be called."""

    def due(self):
        return []


@pytest.fixture
def outbox():
    return Outbox()


@pytest.fixture
def ledger(redis):
    return Ledger(redis)


@pytest.fixture
def sweeper(ledger, outbox):
    return Sweeper(ledger, outbox, NoWebhooks(), Settings(), worker="w")


def start(ledger, **fields):
    known = {"id": new_id(), "kind": Kind.TTS, "queue": "tts", "priority": 4, "owner": "o", "spec": "{}"}
    delivery = ledger.submit(NewJob(**(known | fields))).delivery
    claim = ledger.claim(delivery.id, delivery.sequence, "dead")
    assert isinstance(claim, Claim)
    return claim


def test_a_record_that_cannot_be_taken_back_keeps_nothing_else_from_being_done(sweeper, ledger, outbox, redis, caplog):
    broken, whole = start(ledger), start(ledger)
    redis.hset(f"vq:job:{broken.id}", "deaths", "many")
    redis.zadd("vq:leases", {broken.id: 1, whole.id: 2})
    sweeper._lease_seconds = 0
    sweeper.sweep()
    assert "its record in the ledger makes no sense" in caplog.text
    assert [one.id for one in outbox] == [whole.id]
    caplog.clear()
    sweeper.sweep()
    assert not caplog.text, "it is not told at every sweep"


def test_a_record_that_cannot_be_erased_is_in_the_way_once(sweeper, ledger, redis, caplog):
    broken, over = start(ledger), start(ledger)
    for claim in (broken, over):
        ledger.give_up(claim)
    redis.hdel(f"vq:job:{broken.id}", "owner")
    redis.zadd("vq:expiry", {broken.id: 1, over.id: 2})
    sweeper.sweep()
    assert "sweeping failed at expire" in caplog.text
    sweeper.sweep()
    assert not redis.exists(f"vq:job:{over.id}")


def test_a_step_that_fails_keeps_no_other_from_being_done(sweeper, ledger, redis, caplog):
    over = start(ledger)
    ledger.give_up(over)
    redis.zadd("vq:expiry", {over.id: 1})
    redis.set("vq:swept", "no number")
    sweeper._lease_seconds = 0
    sweeper.sweep()
    assert "sweeping failed at recover" in caplog.text
    assert not redis.exists(f"vq:job:{over.id}")


def test_a_sweep_takes_back_what_a_lease_has_left(sweeper, ledger, outbox, redis):
    claim = start(ledger)
    redis.zadd("vq:leases", {claim.id: 1})
    sweeper._lease_seconds = 0  # the server is young: everybody would have grace
    sweeper.sweep()
    assert [one.id for one in outbox] == [claim.id]
    assert (sweeper.recovered, Queries(redis).get(claim.id).status) == (1, Status.QUEUED)


def test_while_redis_is_away_a_sweep_ends_at_once():
    away = Ledger(connect("redis://127.0.0.1:1", retries=0))
    with pytest.raises(RedisAway):
        Sweeper(away, Outbox(), NoWebhooks(), Settings(), worker="w").sweep()
