"""Waiting for a change: woken by it, not by the clock, also across a restart of Redis."""

import threading
import time

import pytest

from jobs.connect import connect
from jobs.errors import NotFound
from jobs.events import Announcements, follow, wait_until_terminal
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output
from jobs.states import Kind, Status

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def no_recheck(monkeypatch):
    """Without looking by itself, a waiter that is not woken waits past the patience of the tests."""
    monkeypatch.setattr("jobs.events.RECHECK_SECONDS", 1000)


@pytest.fixture
def announcements(redis_url):
    announcements = Announcements(connect(redis_url))
    announcements.start()
    announcements.start()
    yield announcements
    announcements.stop()


@pytest.fixture
def in_background():
    """Run a function in a thread; its answer comes by `get()`."""
    threads = []

    class Background:
        def __init__(self, function):
            self._function = function
            self._answer = None
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
            threads.append(self._thread)

        def _run(self):
            self._answer = self._function()

        def get(self):
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "nobody woke it"
            return self._answer

    yield Background
    for thread in threads:
        thread.join(PATIENCE)


def waiting(announcements, job_id):
    """Wait until somebody waits for the job."""
    end = time.monotonic() + PATIENCE
    while job_id not in announcements._waiters:
        assert time.monotonic() < end
        time.sleep(0.005)


class TestWaitUntilTerminal:
    def test_woken_by_the_end(self, desk, announcements, in_background):
        claim = desk.start()
        answer = in_background(lambda: wait_until_terminal(desk.queries, announcements, claim.id, 60))
        waiting(announcements, claim.id)
        desk.ledger.progress(claim, 1, 2, "x")
        desk.succeed(claim)
        assert answer.get().status is Status.SUCCEEDED
        assert announcements._waiters == {}

    def test_many_waiters_for_one_job(self, desk, announcements, in_background):
        job_id = desk.submit()
        answers = [
            in_background(lambda: wait_until_terminal(desk.queries, announcements, job_id, 60)) for _ in range(5)
        ]
        waiting(announcements, job_id)
        desk.cancel(job_id)
        assert [answer.get().status for answer in answers] == [Status.CANCELED] * 5

    def test_what_has_ended_is_answered_at_once(self, desk, announcements):
        job_id = desk.submit()
        desk.cancel(job_id)
        assert wait_until_terminal(desk.queries, announcements, job_id, 1000).status is Status.CANCELED

    def test_after_its_time_the_job_as_it_is(self, desk, announcements):
        job_id = desk.submit()
        assert wait_until_terminal(desk.queries, announcements, job_id, 0.05).status is Status.QUEUED

    def test_a_deleted_job_wakes_too(self, desk, announcements, in_background):
        job_id = desk.submit()

        def wait():
            with pytest.raises(NotFound):
                wait_until_terminal(desk.queries, announcements, job_id, 60)
            return "told"

        answer = in_background(wait)
        waiting(announcements, job_id)
        desk.ledger.delete(job_id)
        assert answer.get() == "told"

    def test_anothers_job_is_not_there(self, desk, announcements):
        with pytest.raises(NotFound):
            wait_until_terminal(desk.queries, announcements, desk.submit(owner="ann"), 60, owner="bob")


class TestFollow:
    def test_every_change_up_to_the_end(self, desk, announcements):
        job_id = desk.submit()
        seen = follow(desk.queries, announcements, job_id, interval=0)
        assert next(seen).status is Status.QUEUED
        claim = desk.claim(job_id)
        assert next(seen).status is Status.RUNNING
        desk.ledger.progress(claim, 1, 2, "sentence")
        assert next(seen).done == 1
        desk.succeed(claim)
        assert next(seen).status is Status.SUCCEEDED
        assert next(seen, "over") == "over"

    def test_it_waits_for_the_next_change(self, desk, announcements, in_background):
        job_id = desk.submit()
        seen = follow(desk.queries, announcements, job_id, interval=0)
        next(seen)
        answer = in_background(lambda: next(seen))
        waiting(announcements, job_id)
        desk.claim(job_id)
        assert answer.get().status is Status.RUNNING

    def test_a_slow_reader_skips_states_but_never_the_last(self, desk, announcements):
        job_id = desk.submit()
        seen = follow(desk.queries, announcements, job_id, interval=0)
        next(seen)
        desk.succeed(desk.claim(job_id))
        assert [job.status for job in seen] == [Status.SUCCEEDED]

    def test_it_resumes_after_a_version(self, desk, announcements):
        job_id = desk.submit()
        version = desk.job(job_id).version
        claim = desk.claim(job_id)
        resumed = follow(desk.queries, announcements, job_id, version=version, interval=0)
        assert next(resumed).version > version
        desk.succeed(claim)
        last = next(resumed).version
        assert list(follow(desk.queries, announcements, job_id, version=last)) == []

    def test_it_ends_when_the_job_is_deleted(self, desk, announcements):
        job_id = desk.submit()
        seen = follow(desk.queries, announcements, job_id, interval=0)
        next(seen)
        desk.ledger.delete(job_id)
        assert next(seen, "over") == "over"

    def test_a_quiet_time_is_told_for_a_keep_alive(self, desk, announcements):
        seen = follow(desk.queries, announcements, desk.submit(), interval=0, recheck=0.02)
        next(seen)
        assert next(seen) is None

    def test_of_nothing(self, desk, announcements):
        with pytest.raises(NotFound):
            next(follow(desk.queries, announcements, new_id()))

    def test_a_parent_by_its_children(self, desk, announcements, in_background):
        parent, [child] = desk.parent(1)
        seen = follow(desk.queries, announcements, parent, version=desk.job(parent).version, interval=0)
        answer = in_background(lambda: next(seen))
        waiting(announcements, parent)
        desk.ledger.progress(desk.claim(child), 3, 5, "sentence")
        assert answer.get().version > 0


def test_redis_restarts_while_somebody_waits(own_valkey, in_background):
    redis = connect(own_valkey.url)
    ledger, queries = Ledger(redis), Queries(redis)
    announcements = Announcements(connect(own_valkey.url, retries=0))
    announcements.start()
    job_id = new_id()
    delivery = ledger.submit(NewJob(job_id, Kind.TTS, "tts", 4, "ann", "{}")).delivery
    answer = in_background(lambda: wait_until_terminal(queries, announcements, job_id, 1000))
    waiting(announcements, job_id)
    own_valkey.kill()
    own_valkey.start()
    claim = ledger.claim(job_id, delivery.sequence, "w")  # nothing was lost with the server
    ledger.succeed(claim, Output(text="after"))
    assert answer.get().output["text"] == "after"
    announcements.stop()
