"""Operators hold a queue, a kind or an owner: nothing of it starts, nothing is lost, running work goes on."""

import pytest

from jobs.holds import Overview, overview
from jobs.ledger import Claim, Refusal
from jobs.states import Kind, Status


@pytest.mark.parametrize("what", ["queue:tts", "kind:tts", "owner:ann"])
def test_a_held_job_waits_and_starts_when_it_is_freed(desk, what):
    running, waiting, other = desk.start(), desk.submit(), desk.submit(kind=Kind.STT, queue="stt", owner="bob")
    desk.ledger.hold(what)
    assert desk.ledger.held() == {what}
    assert desk.claim(waiting) == Refusal("held")
    assert desk.status(waiting) is Status.QUEUED
    assert desk.ledger.unpark() == []
    assert isinstance(desk.claim(other), Claim)
    desk.succeed(running)
    desk.ledger.free(what)
    desk.send(desk.ledger.unpark())
    assert isinstance(desk.claim(waiting), Claim)
    assert desk.ledger.unpark() == []


def test_what_is_held_twice_is_freed_twice(desk, redis):
    job_id = desk.submit()
    desk.ledger.hold("queue:tts")
    desk.ledger.hold("owner:ann")
    assert desk.claim(job_id) == Refusal("held")
    desk.ledger.free("queue:tts")
    assert desk.ledger.unpark() == []
    desk.ledger.free("owner:ann")
    assert [one.id for one in desk.ledger.unpark()] == [job_id]
    assert redis.keys("vq:parked*") == []


def test_all_of_them_in_portions_first_come_first_served(desk, redis, monkeypatch):
    monkeypatch.setattr("jobs.ledger.PORTION", 3)
    ids = [desk.submit() for _ in range(7)]
    desk.ledger.hold("kind:tts")
    for number, job_id in enumerate(ids):
        desk.claim(job_id)
        redis.zadd("vq:parked:kind:tts", {job_id: number}, xx=True)
    desk.ledger.free("kind:tts")
    assert [one.id for one in desk.ledger.unpark()] == ids


def test_a_long_hold_costs_a_sweep_nothing(desk, redis):
    desk.ledger.hold("kind:tts")
    for _ in range(50):
        desk.start()
    redis.config_resetstat()
    desk.ledger.unpark()
    calls = sum(stat["calls"] for name, stat in redis.info("commandstats").items() if "config" not in name)
    assert calls < 20  # twice one script with four commands, and not one of them for each parked job


def test_a_parked_job_can_be_canceled_and_retried(desk, redis):
    desk.ledger.hold("kind:tts")
    job_id = desk.submit()
    desk.claim(job_id)
    desk.cancel(job_id)
    assert desk.status(job_id) is Status.CANCELED
    desk.ledger.free("kind:tts")
    assert desk.ledger.unpark() == []
    assert redis.keys("vq:parked*") == []
    desk.retry(job_id)
    assert isinstance(desk.claim(job_id), Claim)


def test_a_parked_job_has_no_place_in_the_queue_and_is_not_lost(desk):
    desk.ledger.hold("kind:tts")
    job_id = desk.submit()
    desk.claim(job_id)
    assert desk.queries.queue_position(desk.job(job_id)) is None
    assert desk.ledger.lost("tts", 4, 0, 0) == []


def test_a_woken_parent_is_held_too(desk):
    parent, [child] = desk.parent(1)
    desk.succeed(desk.claim(child))
    desk.ledger.hold("queue:cpu")
    assert desk.claim(parent) == Refusal("held")
    desk.ledger.free("queue:cpu")
    desk.send(desk.ledger.unpark())
    assert isinstance(desk.claim(parent), Claim)


@pytest.mark.parametrize("what", ["queue:tts", "kind:tts", "owner:ann"])
def test_what_is_drained_is_taken_from_its_workers_and_goes_on_later(desk, what):
    claim, other = desk.start(), desk.start(kind=Kind.STT, queue="stt", owner="bob")
    desk.ledger.hold(what)
    assert desk.ledger.renew([claim, other]).signals == {claim.id: "go", other.id: "go"}
    desk.ledger.hold(what, drain=True)
    assert desk.ledger.renew([claim, other]).signals == {claim.id: "yield", other.id: "go"}
    desk.release(claim)
    assert desk.claim(claim.id) == Refusal("held")
    desk.ledger.free(what)
    desk.send(desk.ledger.unpark())
    again = desk.claim(claim.id)
    assert desk.ledger.renew([again]).signals == {claim.id: "go"}


def test_a_cancel_is_stronger_than_a_drain(desk):
    claim = desk.start()
    desk.ledger.hold("queue:tts", drain=True)
    desk.cancel(claim.id)
    assert desk.ledger.renew([claim]).signals == {claim.id: "cancel"}


def test_an_overview(desk, redis):
    running, parked = desk.start(characters=10), desk.submit(characters=5)
    desk.start(kind=Kind.STT, queue="stt", seconds=7)
    desk.ledger.hold("queue:tts", drain=True)
    desk.ledger.hold("owner:bob")
    desk.claim(parked)
    assert overview(redis) == Overview(
        held=["owner:bob", "queue:tts"],
        drained=["queue:tts"],
        parked={"queue:tts": 1},
        running={"stt": 1, "tts": 1},
        waiting_characters=15,
        waiting_seconds=7,
    )
    desk.succeed(running)
    assert overview(redis).running == {"stt": 1}
