"""A job enters the ledger once, whatever is repeated, and not at all over a limit."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.connect import connect
from jobs.errors import Conflict, NotFound, QueueFull, SchemaMismatch
from jobs.ids import new_id
from jobs.ledger import Claim, Ledger, Limits, NewJob
from jobs.record import Blob
from jobs.states import Kind, Phase, Status


def test_a_new_job_is_queued_with_all_it_was_given(desk):
    job_id = desk.submit(
        spec=json.dumps({"text": "你好 😀"}),
        inputs=[Blob("a" * 64, 3, "a.wav", "audio/wav", "home")],
        metadata={"名": "值"},
        webhook="{}",
        unit="sentence",
        total=12,
        timeout_seconds=1.5,
        priority=7,
    )
    job = desk.job(job_id)
    assert (job.status, job.attempt, job.owner, job.kind, job.queue) == (Status.QUEUED, 0, "ann", Kind.TTS, "tts")
    assert job.spec == {"text": "你好 😀"}
    assert job.inputs == (Blob("a" * 64, 3, "a.wav", "audio/wav", "home"),)
    assert job.metadata == {"名": "值"}
    assert (job.done, job.total, job.unit) == (0, 12, "sentence")
    assert job.deadline == job.created + 1.5
    assert (job.started, job.finished, job.expires, job.error, job.output) == (None, None, None, None, {})
    delivery = desk.sent[job_id]
    assert (delivery.id, delivery.queue, delivery.step, delivery.phase) == (job_id, "tts", 7, Phase.NONE)


def test_the_same_id_again_is_the_same_job_and_the_same_delivery(desk):
    new = desk.new()
    first, second = desk.ledger.submit(new), desk.ledger.submit(new)
    assert first == second
    assert desk.queries.count() == 1


def test_an_ended_child_that_is_planned_again_is_not_sent_again(desk):
    parent, [child] = desk.parent(1, planned=False)
    desk.succeed(desk.claim(child))
    desk.drop(child)
    desk.child(parent, 0)
    assert not desk.drop(child)
    assert desk.status(child) is Status.SUCCEEDED


class TestIdempotencyKey:
    def test_the_same_request_gives_the_first_job(self, desk):
        first = desk.submit(idempotency_key="k", fingerprint="f")
        again = desk.ledger.submit(desk.new(idempotency_key="k", fingerprint="f"))
        assert (again.id, again.created, again.delivery) == (first, False, None)
        assert desk.queries.count() == 1

    def test_another_request_is_refused(self, desk):
        desk.submit(idempotency_key="k", fingerprint="f")
        with pytest.raises(Conflict) as refused:
            desk.submit(idempotency_key="k", fingerprint="g")
        assert refused.value.code == "idempotency_conflict"
        assert desk.queries.count() == 1

    def test_owners_do_not_share_keys(self, desk):
        first = desk.submit(owner="a", idempotency_key="b:k", fingerprint="f")
        assert desk.submit(owner="b", idempotency_key="b:k", fingerprint="g") != first
        assert desk.submit(owner="a:b", idempotency_key="k", fingerprint="g") != first

    def test_a_deleted_job_frees_its_key(self, desk, redis):
        first = desk.submit(idempotency_key="k", fingerprint="f")
        desk.ledger.delete(first)
        assert redis.keys("vq:idem:*") == []
        assert desk.submit(idempotency_key="k", fingerprint="g") != first

    def test_deleting_the_old_job_leaves_the_key_of_the_new_one(self, desk, redis):
        first = desk.submit(idempotency_key="k", fingerprint="f")
        [key] = redis.keys("vq:idem:*")
        redis.delete(key)  # older versions let it expire before the job
        second = desk.submit(idempotency_key="k", fingerprint="g")
        desk.ledger.delete(first)
        assert desk.ledger.submit(desk.new(idempotency_key="k", fingerprint="g")).id == second

    def test_a_key_lives_as_long_as_its_job_however_long_that_waits(self, desk, redis):
        """What a job's end begins is its time to live, and the key's with it."""
        job_id = desk.submit(idempotency_key="k", fingerprint="f", ttl_seconds=1)
        [key] = redis.keys("vq:idem:*")
        assert redis.pttl(key) == -1
        desk.cancel(job_id)
        redis.zadd("vq:expiry", {job_id: 1})
        desk.ledger.expire()
        assert redis.keys("vq:idem:*") == []

    def test_many_at_once_make_one_job(self, redis, redis_url):
        def submit(number):
            ledger = Ledger(connect(redis_url))
            return ledger.submit(NewJob(new_id(), Kind.TTS, "tts", 4, "ann", "{}", idempotency_key="k")).id

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(submit, range(24)))) == 1
        assert redis.zcard("vq:list:*:*:*") == 1


class TestLimits:
    def test_waiting_jobs_in_all(self, desk):
        desk.submit(owner="a", limits=Limits(2))
        desk.submit(owner="b", limits=Limits(2))
        with pytest.raises(QueueFull, match="2 jobs wait already in all, and 2 may"):
            desk.submit(owner="c", limits=Limits(2))
        assert desk.queries.count() == 2

    def test_waiting_jobs_of_an_owner(self, desk):
        desk.submit(owner="a", owner_limits=Limits(1))
        desk.submit(owner="b", owner_limits=Limits(1))
        with pytest.raises(QueueFull, match="1 jobs wait already for this key, and 1 may"):
            desk.submit(owner="a", owner_limits=Limits(1))

    def test_a_job_that_runs_or_has_gone_waits_no_more(self, desk):
        running, canceled, deleted = (desk.submit() for _ in range(3))
        desk.claim(running)
        desk.cancel(canceled)
        desk.ledger.delete(deleted)
        desk.submit(limits=Limits(1))
        desk.release(_held(desk, running))
        with pytest.raises(QueueFull):
            desk.submit(limits=Limits(2))

    def test_children_count_but_are_never_refused(self, desk):
        parent, _ = desk.parent(4)
        desk.child(parent, 4, limits=Limits(1), owner_limits=Limits(1))
        with pytest.raises(QueueFull):
            desk.submit(owner_limits=Limits(5))
        desk.submit(owner_limits=Limits(6))

    def test_a_repeated_submit_is_not_refused(self, desk):
        new = desk.new()
        desk.ledger.submit(new, limits=Limits(1))
        assert desk.ledger.submit(new, limits=Limits(1)).id == new.id

    def test_a_used_key_answers_even_when_the_queue_is_full(self, desk):
        first = desk.submit(idempotency_key="k", fingerprint="f")
        again = desk.ledger.submit(desk.new(idempotency_key="k", fingerprint="f"), limits=Limits(1))
        assert again.id == first

    @pytest.mark.parametrize("measure", ["characters", "seconds"])
    def test_work_that_waits_or_runs(self, desk, measure):
        """Counted until the job's end, and exactly: what fits comes in, one more does not."""
        limits = Limits(**{measure: 100})
        first = desk.submit(**{measure: 60})
        claim = desk.claim(first)
        desk.submit(**{measure: 40}, limits=limits)
        with pytest.raises(QueueFull, match=rf"100 {measure}.* wait already in all; with the 1 of this job .* the 100"):
            desk.submit(**{measure: 1}, limits=limits)
        desk.submit(owner="bob", **{measure: 100}, owner_limits=limits)
        with pytest.raises(QueueFull, match="wait already for this key"):
            desk.submit(**{measure: 1}, owner_limits=limits)
        desk.succeed(claim)
        desk.submit(**{measure: 60}, owner_limits=limits)

    def test_a_limit_concerns_only_jobs_of_its_sort(self, desk):
        desk.submit(seconds=1000)
        desk.submit(characters=10, limits=Limits(seconds=100, characters=100))

    def test_a_job_larger_than_a_limit_comes_in_alone(self, desk):
        limits = Limits(characters=100)
        large = desk.submit(characters=1000, limits=limits)
        with pytest.raises(QueueFull):
            desk.submit(characters=1, limits=limits)
        desk.cancel(large)
        desk.submit(characters=1, limits=limits)

    def test_the_length_of_a_recording_counts_as_soon_as_it_is_known(self, desk, redis):
        claim = desk.start(seconds=10, kind=Kind.STT, queue="stt")
        desk.ledger.progress(claim, 0, 3600, "second")
        assert redis.hgetall("vq:seconds") == {"ann": "3600", "*": "3600"}
        desk.fail(claim)
        assert redis.hgetall("vq:seconds") == {}
        desk.retry(claim.id)
        assert redis.hgetall("vq:seconds") == {"ann": "3600", "*": "3600"}

    def test_a_parent_weighs_until_its_children_do(self, desk, redis):
        parent = desk.submit(kind=Kind.AUDIOBOOK, queue="cpu", phase=Phase.PLANNING, characters=100)
        claim = desk.claim(parent)
        children = [desk.child(parent, index, characters=40) for index in range(2)]
        desk.send([desk.ledger.wait_for_children(claim)])
        assert redis.hget("vq:characters", "*") == "80"
        desk.fail(desk.claim(children[0]))
        assert redis.hget("vq:characters", "ann") == "40"
        desk.cancel(parent)
        assert not redis.exists("vq:characters")

    def test_limits_are_exact_however_many_come_at_once(self, redis, redis_url):
        """Clients with a connection each submit jobs of 7: a hundred of them fit."""
        limits = Limits(characters=700)

        def come_in(number):
            ledger, taken = Ledger(connect(redis_url)), 0
            for _ in range(40):
                try:
                    new = NewJob(new_id(), Kind.TTS, "tts", 4, f"o{number}", "{}", characters=7)
                    ledger.submit(new, limits=limits)
                    taken += 1
                except QueueFull:
                    continue
            return taken

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(come_in, range(8))) == 100
        assert redis.hget("vq:characters", "*") == "700"


def _held(desk, job_id):
    return Claim(desk.job(job_id))


def test_a_child_of_a_parent_that_is_gone_or_has_ended_is_refused(desk):
    with pytest.raises(NotFound):
        desk.child(new_id(), 0)
    parent, _ = desk.parent(1)
    desk.cancel(parent)
    with pytest.raises(NotFound):
        desk.child(parent, 1)


@pytest.mark.parametrize("counter", ["sequence", "created"])
@pytest.mark.parametrize("before", [99_999_999, 9_999_999_999_999])
def test_round_numbers_are_written_as_integers(desk, redis, counter, before):
    """Redis writes the number 100000000 of a script as 1e+08."""
    redis.set(f"vq:{counter}", before)
    job_id = desk.submit()
    assert redis.hget(f"vq:job:{job_id}", {"sequence": "token", "created": "number"}[counter]) == str(before + 1)
    assert isinstance(desk.claim(job_id), Claim)
    assert [job.id for job in desk.queries.page().jobs] == [job_id]


def test_a_ledger_of_another_schema_is_refused(ledger, redis):
    redis.set("vq:schema", 99)
    with pytest.raises(SchemaMismatch, match="version 99"):
        ledger.check_schema()
