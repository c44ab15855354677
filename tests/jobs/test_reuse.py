"""Kept results: of nobody else, never without their files, within their bound, gone when their origin is deleted."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.errors import NotFound
from jobs.files import DiskStore
from jobs.ids import child_id, new_id
from jobs.record import Output, Warn
from jobs.reuse import KeptResults
from jobs.states import Kind


@pytest.fixture
def store(tmp_path):
    return DiskStore(tmp_path)


@pytest.fixture
def kept(redis, store):
    return KeptResults(redis, store, 100_000)


@pytest.fixture
def done(desk, store):
    """Make a job that has succeeded with a file of some bytes; gives it and its output."""

    def make(data=b"x" * 1000, **fields):
        claim = desk.start(kind=Kind.TTS, **fields)
        blob = store.put(claim.id, data, name="speech.wav", media_type="audio/wav")
        output = Output((blob,), "text", "zh", 1.5, (Warn("odd", "it was", 2.0),), {"text_truncated": True})
        desk.succeed(claim, output)
        return desk.job(claim.id), output

    return make


def content(store, job_id, output):
    with store.open(job_id, output.files[0]) as file:
        return file.read()


def folders(store):
    return set(store.job_ids())


def test_what_is_kept_is_given_as_it_was(kept, done, store):
    job, output = done()
    assert kept.keep("k", job, output)
    assert kept.find("other") is None
    other = new_id()
    given = kept.give(kept.find("k"), other)
    assert given.files == output.files
    assert content(store, other, given) == b"x" * 1000
    assert (given.text, given.language, given.duration_seconds, given.warnings) == ("text", "zh", 1.5, output.warnings)
    assert given.extra == {"text_truncated": True, "reused": job.id}


def test_it_outlives_its_origin_and_what_was_given_outlives_both(kept, done, store, redis, desk):
    job, output = done()
    kept.keep("k", job, output)
    redis.zadd("vq:expiry", {job.id: 1})
    assert desk.ledger.expire() == [job.id]
    store.remove_job(job.id)
    other = new_id()
    given = kept.give(kept.find("k"), other)
    kept.forget(job.id)
    for home in desk.ledger.trash():
        store.remove_job(home)
    assert folders(store) == {other}
    assert content(store, other, given) == b"x" * 1000


@pytest.mark.parametrize("of", ["job", "parent"])
def test_it_goes_when_its_origin_is_deleted(kept, done, desk, redis, of):
    if of == "parent":
        parent, _ = desk.parent(0, planned=False)
        job, output = done(id=child_id(parent, 0), parent=parent, index=0)
    else:
        job, output = done()
    kept.keep("k", job, output)
    desk.ledger.delete(parent if of == "parent" else job.id)
    kept.forget(parent if of == "parent" else job.id)
    assert kept.find("k") is None
    assert [key for key in redis.keys("vq:*") if "reuse" in key or "kept" in key] == ["vq:reuse:bytes"]
    assert redis.get("vq:reuse:bytes") == "0"


def test_a_job_that_was_deleted_while_it_was_kept_is_not(kept, done, desk, store):
    job, output = done()
    desk.ledger.delete(job.id)
    assert not kept.keep("k", job, output)
    assert kept.find("k") is None
    assert folders(store) == {job.id}, "the copy is removed again"


def test_the_least_recently_used_leave_first(kept, done, store, redis, desk, monkeypatch):
    kept.max_bytes = 3 * 1500
    jobs = {}
    for key in "abc":
        jobs[key], output = done(key.encode() * 1000)
        kept.keep(key, jobs[key], output)
        redis.zadd("vq:reuse:used", {key: ord(key)})
    assert kept.find("a")
    job, output = done(b"d" * 1000)
    kept.keep("d", job, output)
    assert [key for key in "abcd" if kept.find(key)] == ["a", "c", "d"]
    assert int(redis.get("vq:reuse:bytes")) <= kept.max_bytes
    for home in desk.ledger.trash():
        store.remove_job(home)
    assert len(folders(store)) == 4 + 3


def test_what_is_larger_than_all_is_not_kept(kept, done, store):
    job, output = done(b"x" * 200_000)
    assert not kept.keep("k", job, output)
    assert folders(store) == {job.id}


def test_a_smaller_bound_is_kept_from_the_start_on(kept, done, redis, store):
    for number in range(5):
        kept.keep(str(number), *done())
    KeptResults(redis, store, 0).trim()
    assert redis.get("vq:reuse:bytes") == "0"
    assert kept.find("1") is None


def test_one_whose_files_are_gone_is_dropped_and_may_be_kept_anew(kept, done, store):
    job, output = done()
    kept.keep("k", job, output)
    found = kept.find("k")
    store.remove_job(found.home)
    with pytest.raises(NotFound):
        kept.give(found, new_id())
    assert kept.find("k") is None
    assert kept.keep("k", job, output)
    assert kept.give(kept.find("k"), new_id())


def test_of_many_at_once_one_is_kept_and_nothing_is_left_over(kept, done, store, desk):
    finished = [done(str(number).encode() * 10) for number in range(8)]
    start = threading.Barrier(8)

    def keep(one):
        start.wait()
        return kept.keep("k", *one)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(keep, finished)) == [False] * 7 + [True]
    assert len(folders(store)) == 8 + 1


def test_what_dies_while_it_is_kept_leaves_only_what_the_sweeper_finds(kept, done, desk, store, monkeypatch):
    job, output = done()

    class Killed(BaseException):
        pass

    def die(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(kept, "_call", die)
        with pytest.raises(Killed):
            kept.keep("k", job, output)
    assert kept.find("k") is None
    [left] = folders(store) - {job.id}
    assert desk.queries.without_record([left, job.id]) == [left]
    kept.keep("k", job, output)
    assert desk.queries.without_record([kept.find("k").home]) == [], "what is kept is no orphan"
