"""A ledger of an older version is brought up to date, one of a newer or unknown one is left alone."""

import json

import pytest

from jobs.errors import SchemaMismatch
from jobs.ledger import SCHEMA_VERSION
from jobs.migrations import STEPS, migrate
from jobs.record import Blob
from jobs.registry import Registry
from jobs.states import Kind, Phase


def test_there_is_a_way_from_every_version():
    assert sorted(STEPS) == list(range(1, SCHEMA_VERSION))


def test_a_new_ledger_and_one_of_this_version_need_nothing(desk, redis):
    assert migrate(redis) == []
    redis.flushall()
    assert migrate(redis) == []


@pytest.mark.parametrize(("version", "code"), [(99, "schema_newer"), (-1, "schema_too_old")])
def test_what_nobody_can_read_is_left_alone(ledger, redis, version, code):
    redis.set("vq:schema", version)
    with pytest.raises(SchemaMismatch) as refused:
        migrate(redis)
    assert refused.value.code == code
    with pytest.raises(SchemaMismatch, match=f"version {version}"):
        ledger.check_schema()


def test_a_ledger_in_use_is_left_alone(ledger, redis):
    redis.set("vq:schema", 1)
    Registry(redis).publish_worker("tts@host", {"name": "tts@host"})
    with pytest.raises(SchemaMismatch, match=r"tts@host.*stop web and workers"):
        migrate(redis)
    assert redis.get("vq:schema") == "1"


@pytest.fixture
def of_version_1(desk, redis):
    """Jobs in all states, without what version 2 has added; with the weights that they should get."""
    wanted = {}

    def note(job_id, **weights):
        wanted[job_id] = weights
        return job_id

    note(desk.submit(spec=json.dumps({"text": "你好吗"})), characters="3", seconds="0")
    ended = note(desk.submit(spec=json.dumps({"text": "好"}), owner="bob"), characters="1", seconds="0")
    desk.succeed(desk.claim(ended))
    stt = {"kind": Kind.STT, "queue": "stt", "inputs": [Blob("a" * 64, 160_000)]}
    note(desk.submit(**stt, owner="bob"), characters="0", seconds="10")
    known = note(desk.submit(**stt), characters="0", seconds="100")
    desk.ledger.progress(desk.claim(known), 5, 100, "second")
    parent, children = desk.parent(2, spec="{}")
    note(parent, characters="0", seconds="0")
    for child in children:
        redis.hset(f"vq:job:{child}", "inputs", json.dumps([Blob("b" * 64, 60).to_json()]))
        note(child, characters="20", seconds="0")
    for job_id in wanted:
        redis.hdel(f"vq:job:{job_id}", "characters", "seconds", "deaths_alone")
    redis.delete("vq:characters", "vq:seconds")
    redis.set("vq:schema", 1)
    return wanted


def test_from_version_1(of_version_1, desk, redis, monkeypatch):
    monkeypatch.setattr("jobs.migrations.PORTION", 2)
    for again in range(2):  # also one that was cut off before it wrote the version
        redis.set("vq:schema", 1)
        assert migrate(redis) == list(range(1, SCHEMA_VERSION)), again
        for job_id, weights in of_version_1.items():
            assert redis.hmget(f"vq:job:{job_id}", *weights, "deaths_alone") == [*weights.values(), "0"]
        assert redis.hgetall("vq:characters") == {"ann": "43", "*": "43"}
        assert redis.hgetall("vq:seconds") == {"ann": "100", "bob": "10", "*": "110"}
    desk.ledger.check_schema()
    for job_id in of_version_1:
        if "." not in job_id:
            desk.ledger.delete(job_id)
    while desk.ledger.expire():
        pass
    assert not redis.exists("vq:characters", "vq:seconds")


def test_a_retried_job_weighs_again_after_a_migration(of_version_1, desk, redis):
    migrate(redis)
    ended = next(job_id for job_id in of_version_1 if redis.hget(f"vq:job:{job_id}", "status") == "succeeded")
    assert redis.hget(f"vq:job:{ended}", "phase") == Phase.NONE
    failing = desk.submit(characters=7)
    desk.fail(desk.claim(failing))
    desk.retry(failing)
    assert redis.hget("vq:characters", "*") == "50"
