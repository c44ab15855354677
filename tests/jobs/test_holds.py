"""Operators hold a queue, a kind or an owner: nothing of it starts, nothing is lost, running work goes on."""

import pytest

from jobs.ledger import Claim, Refusal
from jobs.states import Kind, Status


@pytest.mark.parametrize("what", ["queue:tts", "kind:tts", "owner:ann"])
def test_a_held_job_waits_and_starts_when_it_is_freed(desk, what):
    running, waiting, other = desk.start(), desk.submit(), desk.submit(kind=Kind.STT, queue="stt", owner="bob")
    desk.ledger.hold(what, on=True)
    assert desk.ledger.held() == {what}
    assert desk.claim(waiting) == Refusal("held")
    assert desk.status(waiting) is Status.QUEUED
    assert desk.ledger.unpark() == []
    assert isinstance(desk.claim(other), Claim)
    desk.succeed(running)
    desk.ledger.hold(what, on=False)
    desk.send(desk.ledger.unpark())
    assert isinstance(desk.claim(waiting), Claim)
    assert desk.ledger.unpark() == []


def test_what_is_held_twice_is_freed_twice(desk, redis):
    job_id = desk.submit()
    desk.ledger.hold("queue:tts", on=True)
    desk.ledger.hold("owner:ann", on=True)
    assert desk.claim(job_id) == Refusal("held")
    desk.ledger.hold("queue:tts", on=False)
    assert desk.ledger.unpark() == []
    desk.ledger.hold("owner:ann", on=False)
    assert [one.id for one in desk.ledger.unpark()] == [job_id]
    assert redis.keys("vq:parked*") == []


def test_all_of_them_in_portions_first_come_first_served(desk, redis, monkeypatch):
    monkeypatch.setattr("jobs.ledger.PORTION", 3)
    ids = [desk.submit() for _ in range(7)]
    desk.ledger.hold("kind:tts", on=True)
    for number, job_id in enumerate(ids):
        desk.claim(job_id)
        redis.zadd("vq:parked:kind:tts", {job_id: number}, xx=True)
    desk.ledger.hold("kind:tts", on=False)
    assert [one.id for one in desk.ledger.unpark()] == ids


def test_a_long_hold_costs_a_sweep_nothing(desk, redis):
    desk.ledger.hold("kind:tts", on=True)
    for _ in range(50):
        desk.start()
    redis.config_resetstat()
    desk.ledger.unpark()
    calls = sum(stat["calls"] for name, stat in redis.info("commandstats").items() if "config" not in name)
    assert calls < 20  # twice one script with four commands, and not one of them for each parked job


def test_a_parked_job_can_be_canceled_and_retried(desk, redis):
    desk.ledger.hold("kind:tts", on=True)
    job_id = desk.submit()
    desk.claim(job_id)
    desk.cancel(job_id)
    assert desk.status(job_id) is Status.CANCELED
    desk.ledger.hold("kind:tts", on=False)
    assert desk.ledger.unpark() == []
    assert redis.keys("vq:parked*") == []
    desk.retry(job_id)
    assert isinstance(desk.claim(job_id), Claim)


def test_a_parked_job_has_no_place_in_the_queue_and_is_not_lost(desk):
    desk.ledger.hold("kind:tts", on=True)
    job_id = desk.submit()
    desk.claim(job_id)
    assert desk.queries.queue_position(desk.job(job_id)) is None
    assert desk.ledger.lost("tts", 4, 0, 0) == []


def test_a_woken_parent_is_held_too(desk):
    parent, [child] = desk.parent(1)
    desk.succeed(desk.claim(child))
    desk.ledger.hold("queue:cpu", on=True)
    assert desk.claim(parent) == Refusal("held")
    desk.ledger.hold("queue:cpu", on=False)
    desk.send(desk.ledger.unpark())
    assert isinstance(desk.claim(parent), Claim)
