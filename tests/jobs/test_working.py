"""One worker at a time has a job, and only its present attempt may write."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.connect import connect
from jobs.errors import LeaseLost
from jobs.ledger import Claim, Ledger, Refusal
from jobs.record import Blob, Output, Problem, Warn
from jobs.states import Status

PROBLEM = Problem("bad", "Bad", json.dumps({"nested": "quotes"}))


class TestClaim:
    def test_the_first_gets_it_the_second_nothing(self, desk):
        job_id = desk.submit()
        claim = desk.claim(job_id, "one")
        assert (claim.id, claim.attempt, claim.job.status) == (job_id, 1, Status.RUNNING)
        assert desk.claim(job_id, "two") == Refusal("stale")
        assert desk.job(job_id).started is not None

    def test_many_at_once(self, desk, redis_url):
        job_id = desk.submit()
        sequence = desk.sent[job_id].sequence

        def claim(number):
            return isinstance(Ledger(connect(redis_url)).claim(job_id, sequence, str(number)), Claim)

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(claim, range(24))) == 1

    def test_an_older_delivery_is_stale(self, desk):
        claim = desk.start()
        old = desk.sent[claim.id].sequence
        desk.release(claim)
        assert desk.ledger.claim(claim.id, old, "late") == Refusal("stale")
        assert isinstance(desk.claim(claim.id), Claim)

    def test_of_what_has_ended_or_gone(self, desk):
        claim = desk.start()
        desk.succeed(claim)
        assert desk.claim(claim.id) == Refusal("succeeded")
        desk.ledger.delete(claim.id)
        assert desk.claim(claim.id) == Refusal("gone")


class TestRenew:
    def test_signals(self, desk):
        going, canceled, taken, deleted = (desk.start() for _ in range(4))
        desk.cancel(canceled.id)
        desk.die(taken.id)
        desk.ledger.delete(deleted.id)
        signals = desk.ledger.renew([going, canceled, taken, deleted]).signals
        assert signals == {going.id: "go", canceled.id: "cancel", taken.id: "lost", deleted.id: "lost"}

    def test_it_keeps_the_job_from_the_sweeper(self, desk):
        claim = desk.start()
        desk.end_lease(claim.id)
        desk.ledger.renew([claim])
        assert desk.ledger.recover().deliveries == []

    def test_the_most_urgent_waiting_work_of_each_queue(self, desk):
        claim = desk.start()
        assert desk.ledger.renew([claim], ["tts", "stt"]).urgent == {}
        desk.submit(priority=7)
        desk.submit(priority=4)
        desk.submit(priority=1, queue="stt")
        assert desk.ledger.renew([claim], ["tts", "stt"]).urgent == {"tts": 4, "stt": 1}

    def test_nothing_in_hand(self, ledger):
        renewal = ledger.renew([], [])
        assert (renewal.signals, renewal.urgent) == ({}, {})


class TestJournal:
    def test_the_first_to_register_a_unit_counts(self, desk):
        claim = desk.start()
        desk.ledger.register(claim, "0", {"blob": "a"}, done=1, total=3)
        desk.ledger.register(claim, "0", {"blob": "b"}, done=2, total=3)
        assert desk.ledger.units(claim.id) == {"0": {"blob": "a"}}
        assert (desk.job(claim.id).done, desk.job(claim.id).total) == (1, 3)

    def test_it_survives_attempts_and_failure_but_not_success(self, desk):
        claim = desk.start()
        desk.ledger.register(claim, "0", {"blob": "a"}, done=1, total=2)
        desk.die(claim.id)
        second = desk.claim(claim.id)
        desk.ledger.register(second, "1", {"blob": "b"}, done=2, total=2)
        desk.fail(second)
        desk.retry(claim.id)
        third = desk.claim(claim.id)
        assert desk.ledger.units(claim.id) == {"0": {"blob": "a"}, "1": {"blob": "b"}}
        desk.succeed(third)
        assert desk.ledger.units(claim.id) == {}

    def test_progress(self, desk):
        claim = desk.start()
        before = desk.job(claim.id).version
        desk.ledger.progress(claim, 2, 9, "chunk")
        job = desk.job(claim.id)
        assert (job.done, job.total, job.unit) == (2, 9, "chunk")
        assert job.version > before


class TestCommit:
    def test_success_shows_the_result_whole(self, desk):
        claim = desk.start(total=4)
        output = Output(
            files=(Blob("b" * 64, 10, "a.wav", "audio/wav"),),
            text="你好",
            language="zh",
            duration_seconds=1.5,
            warnings=(Warn("odd", "an odd mark", 3.0),),
            extra={"reused": 2},
        )
        desk.succeed(claim, output)
        job = desk.job(claim.id)
        assert (job.status, job.done, job.total) == (Status.SUCCEEDED, 4, 4)
        assert job.output == output.to_json()
        assert job.output_files == output.files
        assert job.finished >= job.started >= job.created
        assert job.expires == job.finished + 7 * 24 * 3600

    def test_failure_says_why_and_may_show_what_there_is(self, desk):
        claim = desk.start()
        desk.ledger.fail(claim, PROBLEM, Output(text="half"))
        job = desk.job(claim.id)
        assert (job.status, job.error) == (Status.FAILED, PROBLEM.to_json())
        assert job.output["text"] == "half"

    def test_a_commit_that_is_repeated_by_its_worker_is_fine(self, desk):
        claim = desk.start()
        desk.succeed(claim, Output(text="first"))
        desk.succeed(claim, Output(text="second"))
        assert desk.job(claim.id).output["text"] == "first"

    def test_the_other_end_is_refused_afterwards(self, desk, lost):
        claim = desk.start()
        desk.succeed(claim)
        with lost():
            desk.fail(claim)
        assert desk.status(claim.id) is Status.SUCCEEDED

    def test_of_two_claims_with_one_number_only_that_which_committed_hears_that_it_has(self, desk, redis, lost):
        """The other one would remove what a next attempt needs, from under the result that is not its own."""
        job_id = desk.submit()
        waiting = redis.hgetall(f"vq:job:{job_id}")
        forgotten = desk.claim(job_id)
        redis.hset(f"vq:job:{job_id}", mapping=waiting)
        claim = desk.claim(job_id)
        assert claim.attempt == forgotten.attempt
        desk.succeed(claim)
        with lost():
            desk.succeed(forgotten)


@pytest.mark.parametrize("fate", ["taken", "claimed anew", "forgotten", "released", "ended", "deleted"])
@pytest.mark.parametrize(
    "write",
    [
        lambda ledger, claim: ledger.progress(claim, 1, 2, "x"),
        lambda ledger, claim: ledger.register(claim, "0", {}, done=1, total=1),
        lambda ledger, claim: ledger.run_alone(claim),
        lambda ledger, claim: ledger.await_turn(claim, awaiting=True),
        lambda ledger, claim: ledger.succeed(claim, Output(text="late")),
        lambda ledger, claim: ledger.fail(claim, PROBLEM),
        lambda ledger, claim: ledger.release(claim, front=True),
        lambda ledger, claim: ledger.wait_for_children(claim),
    ],
    ids=["progress", "register", "alone", "turn", "succeed", "fail", "release", "wait"],
)
def test_a_worker_that_has_lost_its_job_writes_nothing(desk, redis, fate, write):
    job_id = desk.submit()
    waiting = redis.hgetall(f"vq:job:{job_id}")
    claim = desk.claim(job_id)
    match fate:
        case "taken":
            desk.die(claim.id)
        case "claimed anew":
            desk.die(claim.id)
            desk.claim(claim.id)
        case "forgotten":  # by a server that crashed before its log was on the disk; the attempt's number comes again
            redis.hset(f"vq:job:{job_id}", mapping=waiting)
            redis.zadd("vq:waiting:tts:4", {job_id: waiting["token"]})
            assert desk.claim(job_id).attempt == claim.attempt
        case "released":
            desk.release(claim)
        case "ended":
            desk.give_up(claim)
        case "deleted":
            desk.ledger.delete(claim.id)
    before = redis.hgetall(f"vq:job:{claim.id}")
    with pytest.raises(LeaseLost):
        write(desk.ledger, claim)
    assert redis.hgetall(f"vq:job:{claim.id}") == before
    assert desk.ledger.units(claim.id) == {}


class TestRelease:
    def test_to_the_back_and_to_the_front_of_its_line(self, desk):
        claim = desk.start(priority=4)
        assert desk.release(claim, front=False).step == 4
        claim = desk.claim(claim.id)
        assert desk.release(claim, front=True).step == 3
        claim = desk.claim(claim.id)
        assert desk.release(claim, front=True).step == 3  # no further up than the step above its own
        assert desk.status(claim.id) is Status.QUEUED
        assert desk.job(claim.id).deaths == 0

    def test_nothing_is_above_the_top(self, desk):
        assert desk.release(desk.start(priority=0), front=True).step == 0

    def test_a_job_that_is_to_be_canceled_ends(self, desk):
        claim = desk.start()
        desk.cancel(claim.id)
        assert desk.release(claim) is None
        assert desk.status(claim.id) is Status.CANCELED


def test_running_time_adds_up_over_attempts_without_the_waiting(desk, redis):
    claim = desk.start()
    _begun_earlier(redis, claim.id, 1000)
    desk.release(claim)
    between = desk.job(claim.id)
    assert between.begun is None
    assert 1.0 <= between.running_seconds < 10
    redis.hincrby(f"vq:job:{claim.id}", "created", -60_000)  # a minute in the queue
    claim = desk.claim(claim.id)
    _begun_earlier(redis, claim.id, 1000)
    desk.die(claim.id)
    claim = desk.claim(claim.id)
    _begun_earlier(redis, claim.id, 1000)
    desk.succeed(claim)
    assert 3.0 <= desk.job(claim.id).running_seconds < 30


def _begun_earlier(redis, job_id, milliseconds):
    redis.hincrby(f"vq:job:{job_id}", "begun", -milliseconds)
