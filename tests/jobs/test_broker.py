"""Deliveries as real Celery messages: in which list, in which order, and found again when they are lost."""

import json
import logging

import pytest
from celery import Celery
from kombu import Consumer, Queue
from redis.connection import AbstractConnection

from jobs.broker import AT_ONCE, HEADS, UNKNOWN, Broker, list_name
from jobs.ledger import Claim, Refusal
from jobs.states import Kind, Phase

GRACE = 20


@pytest.fixture
def celery(redis_url):
    app = Celery("t")
    app.config_from_object("celeryconfig")
    app.conf.broker_url = redis_url
    yield app
    app.close()


@pytest.fixture
def broker(celery, redis):
    return Broker(celery, redis)


@pytest.fixture
def submit(desk, broker):
    """Submit a job and send its message."""

    def submit(*, sent=True, **fields):
        job_id = desk.submit(**fields)
        if sent:
            broker.send([desk.sent[job_id]])
        return job_id

    return submit


@pytest.fixture
def long_ago(broker, desk):
    """Look at the lists, and let that have been long ago."""

    def look():
        assert broker.find_lost(desk.ledger, GRACE) == []
        desk.age_looks(GRACE)

    return look


def pop(redis, queue="tts", step=4):
    """Take a message from its list as kombu does; the process dies before it is noted anywhere."""
    return json.loads(redis.rpop(list_name(queue, step)))


def received(celery, queue, count):
    """Receive messages as a worker does: (name, Celery's ID, arguments)."""
    found = []
    with celery.connection_for_read() as connection:

        def note(body, message):
            args, _, _ = body
            found.append((message.headers["task"], message.headers["id"], tuple(args)))
            message.ack()

        with Consumer(connection, [Queue(queue)], callbacks=[note], accept=["json"]):
            while len(found) < count:
                connection.drain_events(timeout=30)
    return found


class TestSending:
    def test_the_task_has_the_jobs_id_and_carries_the_token(self, desk, submit, celery):
        job_id = submit()
        assert received(celery, "tts", 1) == [("tts", job_id, (job_id, desk.sent[job_id].sequence))]

    def test_kinds_and_phases_have_their_tasks(self, desk, broker, celery):
        parent, [chapter] = desk.parent(1, planned=False)
        stt = desk.submit(kind=Kind.STT, queue="stt")
        broker.send(desk.sent.values())
        assert [name for name, *_ in received(celery, "cpu", 1)] == ["plan"]
        assert [name for name, *_ in received(celery, "tts", 1)] == ["tts"]
        assert [(name, task_id) for name, task_id, _ in received(celery, "stt", 1)] == [("stt", stt)]
        desk.send([desk.ledger.wait_for_children(Claim(desk.job(parent)))])
        desk.succeed(desk.claim(chapter))
        assert desk.sent[parent].phase is Phase.ASSEMBLING
        broker.send([desk.sent[parent]])
        assert [(name, task_id) for name, task_id, _ in received(celery, "cpu", 1)] == [
            ("assemble", f"{parent}.assemble")
        ]

    def test_more_urgent_work_overtakes_and_what_comes_back_goes_to_the_front(self, desk, broker, submit, celery):
        bulk, normal, drained, urgent = (submit(priority=priority) for priority in (7, 4, 4, 1))
        received(celery, "tts", 4)  # hands are empty again
        broker.send(desk.sent[one] for one in (bulk, normal, urgent))
        broker.send([desk.release(desk.claim(drained), front=True)])
        assert [task_id for _, task_id, _ in received(celery, "tts", 4)] == [urgent, drained, normal, bulk]

    def test_redis_away_is_logged_once_and_the_sweeper_sends(self, desk, celery, redis, caplog, long_ago):
        ids = [desk.submit() for _ in range(3)]
        celery.conf.broker_url = "redis://127.0.0.1:1/0"
        with caplog.at_level(logging.ERROR):
            Broker(celery, redis).send(desk.sent[one] for one in ids)
        [record] = caplog.records
        assert "the sweeper will send 3 messages" in record.getMessage()
        long_ago()
        assert [one.id for one in Broker(celery, redis).find_lost(desk.ledger, GRACE)] == ids

    def test_it_goes_on_after_redis_was_restarted(self, desk, own_valkey, redis):
        app = Celery("t")
        app.config_from_object("celeryconfig")
        app.conf.broker_url = own_valkey.url
        one, two = desk.submit(), desk.submit()
        broker = Broker(app, redis)
        broker.send([desk.sent[one]])
        own_valkey.kill()
        own_valkey.start()
        broker.send([desk.sent[two]])
        assert [task_id for _, task_id, _ in received(app, "tts", 2)] == [one, two]
        app.close()


class TestLost:
    def test_a_message_that_died_with_its_worker_is_sent_again_and_no_other(
        self, desk, broker, submit, redis, long_ago
    ):
        first, *others = (submit() for _ in range(5))
        assert pop(redis)["headers"]["id"] == first
        long_ago()
        [again] = broker.find_lost(desk.ledger, GRACE)
        assert (again.id, again.step) == (first, 3)
        assert desk.ledger.claim(first, desk.sent[first].sequence, "late copy") == Refusal("stale")
        assert isinstance(desk.ledger.claim(first, again.sequence, "w"), Claim)
        assert broker.find_lost(desk.ledger, GRACE) == []
        assert all(isinstance(desk.claim(other), Claim) for other in others)

    def test_in_the_middle_of_a_list_it_is_found_when_the_list_has_come_to_it(
        self, desk, broker, submit, redis, long_ago
    ):
        first, lost, last = submit(), submit(sent=False), submit()
        long_ago()
        assert broker.find_lost(desk.ledger, GRACE) == []
        pop(redis)
        desk.claim(first)
        long_ago()
        assert [one.id for one in broker.find_lost(desk.ledger, GRACE)] == [lost]
        assert desk.queries.queue_position(desk.job(last)) == 1

    def test_an_empty_list_has_lost_everything(self, desk, broker, submit, redis, long_ago):
        ids = [submit() for _ in range(3)]
        redis.delete("tts:4")
        long_ago()
        assert [one.id for one in broker.find_lost(desk.ledger, GRACE)] == ids

    def test_grace(self, desk, broker, submit, redis):
        submit()
        pop(redis)
        for _ in range(3):
            assert broker.find_lost(desk.ledger, GRACE) == []

    def test_what_has_just_been_popped_after_a_long_wait_is_not_lost(self, desk, broker, submit, redis, long_ago):
        """Its worker is about to claim it; the looks of before say that its message was there."""
        job_id, *_ = (submit() for _ in range(3))
        long_ago()
        pop(redis)
        assert broker.find_lost(desk.ledger, GRACE) == []
        assert isinstance(desk.claim(job_id), Claim)

    def test_what_is_sent_late_is_not_lost(self, desk, broker, submit, redis, long_ago):
        """The list was empty at the last look, since the submit had not come to sending yet."""
        job_id = submit(sent=False)
        long_ago()
        broker.send([desk.sent[job_id]])
        assert broker.find_lost(desk.ledger, GRACE) == []

    def test_looks_are_forgotten(self, desk, broker, submit, redis, monkeypatch):
        submit()
        for _ in range(5):
            broker.find_lost(desk.ledger, 0)
        assert redis.zcard("vq:looks:tts:4") <= 4
        assert redis.ttl("vq:looks:tts:4") > 0
        pop(redis)
        while broker.find_lost(desk.ledger, 0):
            pass
        desk.ledger.delete(desk.queries.page().jobs[0].id)
        broker.find_lost(desk.ledger, 0)
        assert redis.keys("vq:looks:*") == []

    def test_all_messages_of_a_long_list_are_lost_at_once(self, desk, broker, submit, redis, long_ago, monkeypatch):
        monkeypatch.setattr("jobs.ledger.PORTION", 3)
        monkeypatch.setattr("jobs.broker.PORTION", 3)
        monkeypatch.setattr("jobs.broker.PORTIONS", 4)
        ids = [submit() for _ in range(20)]
        redis.delete("tts:4")
        long_ago()
        found = []
        while portion := broker.find_lost(desk.ledger, GRACE):
            assert len(portion) <= 12
            broker.send(portion)
            found += [one.id for one in portion]
        assert found == ids

    def test_what_was_sent_again_is_lost_only_after_another_grace(self, desk, broker, submit, redis, long_ago):
        submit()
        pop(redis)
        long_ago()
        assert len(broker.find_lost(desk.ledger, GRACE)) == 1
        assert broker.find_lost(desk.ledger, GRACE) == []
        long_ago()
        assert len(broker.find_lost(desk.ledger, GRACE)) == 1

    def test_a_claimed_or_ended_or_deleted_job_is_not_lost(self, desk, broker, submit, redis, long_ago):
        claimed, ended, deleted = (submit() for _ in range(3))
        redis.delete("tts:4")
        long_ago()
        desk.claim(claimed)
        desk.cancel(ended)
        desk.ledger.delete(deleted)
        assert broker.find_lost(desk.ledger, GRACE) == []

    def test_messages_of_others_are_looked_past(self, desk, broker, submit, celery, redis, long_ago):
        celery.send_task("foreign", queue="tts", priority=4)
        submit()
        lost = submit(sent=False)
        long_ago()
        assert broker.oldest("tts", 4) == desk.sent[lost].sequence - 1
        assert broker.find_lost(desk.ledger, GRACE) == []

    def test_many_webhooks_hide_nothing_that_is_lost(self, desk, broker, submit, redis, long_ago):
        lost = submit(sent=False, queue="cpu")
        for _ in range(HEADS + 1):
            desk.succeed(desk.start(webhook="https://example.org/"))
        broker.call_webhooks(desk.ledger.webhooks_due(100, 60))
        later = submit(queue="cpu")
        assert redis.llen("cpu:4") == HEADS + 2
        long_ago()
        assert [one.id for one in broker.find_lost(desk.ledger, GRACE)] == [lost]
        assert isinstance(desk.claim(later), Claim), "its message is behind those of the webhooks"

    def test_among_messages_of_others_only_nothing_is_judged(self, desk, broker, submit, celery, long_ago):
        for _ in range(HEADS):
            celery.send_task("foreign", queue="tts", priority=4)
        submit()
        long_ago()
        assert broker.oldest("tts", 4) == UNKNOWN
        assert broker.find_lost(desk.ledger, GRACE) == []

    def test_the_top_step_has_a_list_without_a_number(self, desk, broker, submit, redis, long_ago):
        job_id = submit(priority=0)
        assert redis.llen("tts") == 1
        redis.delete("tts")
        long_ago()
        assert [one.id for one in broker.find_lost(desk.ledger, GRACE)] == [job_id]


def test_finding_one_lost_message_among_100_000_costs_as_little_as_among_10(desk, broker, submit, redis, long_ago):
    """Counted in commands and in elements that they touch, not in time."""
    lost, *_ = (submit() for _ in range(10))
    head = redis.rpop("tts:4")
    assert json.loads(head)["headers"]["id"] == lost
    long_ago()

    def calls():
        redis.config_resetstat()
        found = broker.find_lost(desk.ledger, GRACE)
        stats = redis.info("commandstats")
        return found, {name: stat["calls"] for name, stat in stats.items() if "config" not in name}

    found, few = calls()
    assert [one.id for one in found] == [lost]
    broker.send(found)
    _fill(redis, 100_000)
    [again] = found
    head = redis.rpop("tts:3")
    assert json.loads(head)["headers"]["id"] == lost
    long_ago()
    found, many = calls()
    assert [one.id for one in found] == [lost]
    assert found[0].sequence > again.sequence
    assert sum(many.values()) <= sum(few.values()) + 10
    assert {"cmdstat_lrange", "cmdstat_zrangebyscore"} <= set(many)
    assert not {"cmdstat_keys", "cmdstat_scan", "cmdstat_zscan", "cmdstat_hgetall", "cmdstat_zrange"} & set(many)


FILL = """
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])
for sequence = first, first + count - 1 do
  redis.call('LPUSH', 'tts:4', '{"headers": {"sequence": ' .. sequence .. '}}')
  redis.call('ZADD', 'vq:waiting:tts:4', sequence, 'waiting' .. sequence)
end
redis.call('SET', 'vq:sequence', first + count)
"""


def _fill(redis, count):
    """Let `count` jobs wait with a message each, behind those that are there."""
    redis.eval(FILL, 0, int(redis.get("vq:sequence")) + 1, count)
    assert json.loads(redis.lindex("tts:4", 0))["headers"]["sequence"] == int(redis.get("vq:sequence")) - 1
    assert redis.llen("tts:4") == count + 9


def test_many_messages_are_one_round_trip_and_all_come(desk, broker, redis, monkeypatch):
    ids = [desk.submit() for _ in range(AT_ONCE + 50)]
    broker.send([desk.sent[ids[0]]])  # connects
    sent = AbstractConnection.send_packed_command
    trips = []

    def count(connection, command, check_health=True):
        trips.append(command)
        return sent(connection, command, check_health=check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", count)
    broker.send(desk.sent[job_id] for job_id in ids[1:])
    assert len(trips) == 2
    found = [json.loads(message)["headers"]["id"] for message in redis.lrange("tts:4", 0, -1)]
    assert found == list(reversed(ids))


def test_messages_of_a_lost_connection_are_sent_again_together(desk, broker, redis):
    ids = [desk.submit() for _ in range(3)]
    broker.send([desk.sent[ids[0]]])
    redis.client_kill_filter(_type="normal", skipme=True)
    broker.send(desk.sent[job_id] for job_id in ids[1:])
    assert {json.loads(message)["headers"]["id"] for message in redis.lrange("tts:4", 0, -1)} == set(ids)
