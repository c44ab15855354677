"""Cancel, retry, delete, expire: what a client may do to a job in each state."""

import pytest

from jobs.errors import Conflict, NotFound
from jobs.ids import new_id
from jobs.ledger import Refusal
from jobs.states import Status


class TestCancel:
    def test_a_queued_job_ends_at_once(self, desk):
        job_id = desk.submit()
        desk.cancel(job_id)
        job = desk.job(job_id)
        assert (job.status, job.started, job.output) == (Status.CANCELED, None, {})
        assert job.expires is not None
        assert desk.claim(job_id) == Refusal("canceled")
        assert desk.queries.queue_position(job) is None

    def test_a_running_job_is_told_and_ends_by_its_worker(self, desk):
        claim = desk.start()
        desk.cancel(claim.id)
        assert desk.status(claim.id) is Status.RUNNING
        assert desk.ledger.renew([claim]).signals == {claim.id: "cancel"}
        desk.give_up(claim)
        assert desk.status(claim.id) is Status.CANCELED

    def test_a_running_job_whose_worker_dies_ends_by_the_sweeper(self, desk):
        claim = desk.start()
        desk.cancel(claim.id)
        assert desk.die(claim.id).deliveries == []
        assert desk.status(claim.id) is Status.CANCELED

    @pytest.mark.parametrize("end", ["succeed", "fail", "give_up"])
    def test_what_has_ended_stays_as_it_is(self, desk, end):
        claim = desk.start()
        getattr(desk, end)(claim)
        before = desk.status(claim.id)
        with pytest.raises(Conflict, match=str(before)):
            desk.cancel(claim.id)
        assert desk.status(claim.id) is before

    def test_nothing(self, desk):
        with pytest.raises(NotFound):
            desk.cancel(new_id())


class TestRetry:
    @pytest.mark.parametrize("end", ["fail", "give_up"])
    def test_it_is_queued_again_under_its_id(self, desk, end):
        claim = desk.start()
        getattr(desk, end)(claim)
        desk.retry(claim.id)
        job = desk.job(claim.id)
        assert (job.status, job.error, job.finished, job.expires, job.cancel) == (
            Status.QUEUED,
            None,
            None,
            None,
            False,
        )
        again = desk.claim(claim.id)
        assert again.attempt == 2
        desk.succeed(again)
        assert desk.status(claim.id) is Status.SUCCEEDED

    def test_it_is_not_expired_meanwhile(self, desk, redis):
        job_id = desk.submit(ttl_seconds=0.001)
        desk.cancel(job_id)
        desk.retry(job_id)
        assert redis.zcard("vq:expiry") == 0

    def test_its_webhook_is_called_for_the_new_end_only(self, desk):
        claim = desk.start(webhook='{"url": "https://example.org"}')
        desk.fail(claim)
        desk.retry(claim.id)
        assert desk.ledger.webhooks_due(10, 60) == []
        desk.succeed(desk.claim(claim.id))
        assert [due.id for due in desk.ledger.webhooks_due(10, 60)] == [claim.id]

    @pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
    def test_only_what_has_failed_or_was_canceled(self, desk, state):
        job_id = desk.submit()
        if state != "queued":
            claim = desk.claim(job_id)
        if state == "succeeded":
            desk.succeed(claim)
        with pytest.raises(Conflict, match=state):
            desk.retry(job_id)

    def test_deaths_are_forgiven(self, desk):
        claim = desk.start()
        desk.die(claim.id)
        desk.die(desk.claim(claim.id).id)
        assert desk.job(claim.id).alone
        desk.cancel(claim.id)
        desk.retry(claim.id)
        job = desk.job(claim.id)
        assert (job.deaths, job.alone) == (0, False)

    def test_its_waiting_and_running_are_counted_once(self, desk, redis):
        def seconds(what):
            figures = redis.hgetall("vq:figures:tts")
            times = sum(int(count) for name, count in figures.items() if name.startswith(f"{what}:"))
            return times, round(float(figures[f"{what}_sum"]) / 1000)

        def run_for(claim, seconds):
            redis.hincrby(f"vq:job:{claim.id}", "begun", -1000 * seconds)
            desk.fail(claim)

        job_id = desk.submit()
        redis.hincrby(f"vq:job:{job_id}", "created", -3_000_000)
        run_for(desk.claim(job_id), 1000)
        desk.retry(job_id)
        run_for(desk.claim(job_id), 4000)
        assert (seconds("wait"), seconds("run")) == ((1, 3), (2, 5))
        desk.retry(job_id)
        desk.cancel(job_id)
        assert (seconds("wait"), seconds("run")) == ((1, 3), (2, 5)), "it did not run again"

    def test_the_deadline_and_the_waiting_count_from_the_retry_on(self, desk, redis):
        claim = desk.start(timeout_seconds=10)
        desk.fail(claim)
        for field in ("created", "started", "finished"):  # all that was an hour ago
            redis.hincrby(f"vq:job:{claim.id}", field, -3_600_000)
        desk.retry(claim.id)
        job = desk.job(claim.id)
        assert job.deadline >= job.created + 3600
        assert 3600 <= job.idle_seconds < 3630


class TestDelete:
    @pytest.mark.parametrize("state", ["queued", "running", "succeeded", "failed", "canceled", "parked"])
    def test_everything_goes_but_the_note_to_remove_files(self, desk, redis, state):
        if state == "parked":
            desk.ledger.hold("kind:tts")
        job_id = desk.submit(idempotency_key="k")
        if state in {"running", "succeeded", "failed", "parked"}:
            claim = desk.claim(job_id)
        if state in {"running", "succeeded", "failed"}:
            desk.ledger.register(claim, "0", {}, done=1, total=1)
        if state == "succeeded":
            desk.succeed(claim)
        if state == "failed":
            desk.fail(claim)
        if state == "canceled":
            desk.cancel(job_id)
        desk.ledger.delete(job_id)
        with pytest.raises(NotFound):
            desk.job(job_id)
        desk.ledger.free("kind:tts")
        assert desk.ledger.unpark() == []
        assert desk.ledger.trash() == [job_id]
        desk.ledger.empty_trash([job_id])
        assert leftovers(redis) == set()

    def test_a_late_commit_does_not_bring_it_back(self, desk, lost):
        claim = desk.start()
        desk.ledger.delete(claim.id)
        with lost():
            desk.succeed(claim)
        with pytest.raises(NotFound):
            desk.job(claim.id)
        assert desk.queries.page().jobs == []

    def test_twice(self, desk):
        job_id = desk.submit()
        desk.ledger.delete(job_id)
        with pytest.raises(NotFound):
            desk.ledger.delete(job_id)


class TestExpire:
    def test_a_job_goes_when_its_time_is_over_and_not_before(self, desk, redis):
        soon, later, waiting = desk.submit(ttl_seconds=1), desk.submit(), desk.submit(ttl_seconds=1)
        desk.cancel(soon)
        desk.cancel(later)
        redis.zadd("vq:expiry", {soon: 1})
        assert desk.ledger.expire() == [soon]
        assert desk.ledger.expire() == []
        assert desk.status(later) is Status.CANCELED
        assert desk.status(waiting) is Status.QUEUED
        assert desk.ledger.trash() == [soon]

    def test_in_portions(self, desk, redis, monkeypatch):
        monkeypatch.setattr("jobs.ledger.PORTION", 2)
        ids = [desk.submit() for _ in range(5)]
        for job_id in ids:
            desk.cancel(job_id)
            redis.zadd("vq:expiry", {job_id: 1})
        portions = []
        while found := desk.ledger.expire():
            portions.append(found)
        assert [len(portion) for portion in portions] == [2, 2, 1]
        assert sorted(one for portion in portions for one in portion) == sorted(ids)


def leftovers(redis):
    """Keys beyond the counters and the answers that fade by themselves."""
    known = {"vq:schema", "vq:sequence", "vq:created", "vq:swept", "vq:figures:tts"}
    fading = {key for key in redis.scan_iter("vq:answer:*") if redis.pttl(key) > 0}
    return set(redis.scan_iter("*")) - known - fading
