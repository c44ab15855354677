"""What becomes of jobs whose worker died, and of a Redis that was away."""

import pytest

from jobs.errors import LeaseLost
from jobs.states import Status


def test_the_job_of_a_dead_worker_goes_to_the_front_of_its_line(desk):
    claim = desk.start(priority=4)
    found = desk.die(claim.id)
    [delivery] = found.deliveries
    assert (delivery.id, delivery.step) == (claim.id, 3)
    assert (desk.status(claim.id), desk.job(claim.id).deaths) == (Status.QUEUED, 1)
    assert desk.claim(claim.id).attempt == 2
    assert desk.ledger.recover().deliveries == []


def test_living_workers_keep_theirs(desk):
    claim = desk.start()
    assert desk.ledger.recover().deliveries == []
    assert desk.status(claim.id) is Status.RUNNING


def test_two_deaths_then_alone_and_after_two_more_condemned(desk):
    job_id = desk.submit()
    for _ in range(2):
        assert not desk.claim(job_id).job.alone
        desk.die(job_id)
    for condemned in ([], [job_id]):
        claim = desk.claim(job_id)
        assert claim.job.alone
        desk.ledger.run_alone(claim)
        found = desk.die(job_id)
        assert found.condemned == condemned
    assert found.deliveries == []
    job = desk.job(job_id)
    assert (job.status, job.error["type"]) == (Status.FAILED, "worker_died")


def die_alone(desk, job_id):
    """Kill a job's worker while it is alone there."""
    desk.ledger.run_alone(desk.claim(job_id))
    return desk.die(job_id)


def suspects(desk, count):
    """Submit jobs that were in hand at two deaths."""
    ids = [desk.submit() for _ in range(count)]
    for job_id in ids:
        for _ in range(2):
            desk.claim(job_id)
            desk.die(job_id)
    return ids


def test_in_a_storm_in_which_others_die_as_well_nobody_is_condemned_by_two_deaths(desk):
    one, other = suspects(desk, 2)
    assert die_alone(desk, one).condemned == []
    assert die_alone(desk, other).condemned == []
    assert die_alone(desk, one).condemned == []
    desk.claim(innocent := desk.submit())
    desk.die(innocent)
    assert die_alone(desk, one).condemned == []
    assert die_alone(desk, one).condemned == [one], "its neighbours lived between these two"


def test_two_that_kill_their_worker_in_turn_do_not_hide_each_other_for_ever(desk):
    one, other = suspects(desk, 2)
    for _ in range(5):
        assert die_alone(desk, one).condemned == []
        assert die_alone(desk, other).condemned == []
    assert die_alone(desk, one).condemned == [one]
    assert die_alone(desk, other).condemned == [other]


def test_who_died_alone_goes_behind_those_who_wait(desk):
    [suspect] = suspects(desk, 1)
    waiting = desk.submit()
    [delivery] = die_alone(desk, suspect).deliveries
    assert delivery.sequence > desk.sent[waiting].sequence
    assert delivery.step >= desk.sent[waiting].step


def test_a_death_before_it_was_alone_condemns_nobody(desk):
    job_id = desk.submit()
    for _ in range(5):
        desk.claim(job_id)
        assert desk.die(job_id).condemned == []
    assert desk.status(job_id) is Status.QUEUED


def test_a_finished_unit_forgives_the_deaths_even_while_alone(desk):
    job_id = desk.submit()
    for _ in range(2):
        desk.claim(job_id)
        desk.die(job_id)
    claim = desk.claim(job_id)
    desk.ledger.run_alone(claim)
    desk.ledger.register(claim, "0", {}, done=1, total=9)
    assert desk.die(job_id).condemned == []
    job = desk.job(job_id)
    assert (job.status, job.deaths, job.alone) == (Status.QUEUED, 1, False)


def test_who_only_waits_for_its_turn_is_no_suspect(desk):
    """The chapters of a book wait in one process while a few of them speak."""
    job_id = desk.submit()
    for _ in range(5):
        desk.ledger.await_turn(desk.claim(job_id), awaiting=True)
        assert desk.die(job_id).condemned == []
    assert (desk.job(job_id).deaths, desk.job(job_id).alone) == (0, False)
    claim = desk.claim(job_id)
    desk.die(job_id)
    assert desk.job(job_id).deaths == 1, "it rests no longer than its claim"
    claim = desk.claim(job_id)
    desk.ledger.await_turn(claim, awaiting=True)
    desk.ledger.await_turn(claim, awaiting=False)
    desk.die(job_id)
    assert desk.job(job_id).deaths == 2, "it had its turn"


def test_a_release_is_no_death(desk):
    job_id = desk.submit()
    for _ in range(5):
        desk.release(desk.claim(job_id), front=True)
    assert desk.job(job_id).deaths == 0


def test_alone_ends_with_the_claim(desk):
    job_id = desk.submit()
    for _ in range(2):
        desk.claim(job_id)
        desk.die(job_id)
    claim = desk.claim(job_id)
    desk.ledger.run_alone(claim)
    desk.release(claim)
    desk.claim(job_id)
    assert desk.die(job_id).condemned == []  # this time it waited for the others to leave


def test_redis_was_away_so_everybody_gets_a_lease_of_grace(desk, redis):
    claim = desk.start()
    desk.end_lease(claim.id)
    found = desk.ledger.recover(grace_seconds=15)
    assert found.grace
    assert found.deliveries == []
    assert desk.ledger.recover().grace
    desk.ledger.renew([claim])  # it was alive all the time
    redis.delete("vq:grace")
    assert desk.ledger.recover().deliveries == []
    desk.succeed(claim)


def test_nobody_swept_for_a_lease_so_everybody_gets_grace(desk, redis):
    claim = desk.start()
    desk.ledger.recover()
    redis.set("vq:swept", 1)
    desk.end_lease(claim.id)
    assert desk.ledger.recover().grace
    redis.delete("vq:grace")
    assert [one.id for one in desk.ledger.recover().deliveries] == [claim.id]


def test_grace_lasts_one_lease(desk, redis):
    desk.ledger.recover(grace_seconds=15)
    assert 0 < redis.pttl("vq:grace") <= 3_600_000


def test_the_jobs_of_a_process_that_is_known_to_be_dead_are_taken_back_at_once(desk):
    dead, alive = desk.claim(desk.submit(), "dead"), desk.claim(desk.submit(), "alive")
    desk.ledger.recover(grace_seconds=15)  # grace is for those of whom nothing is known
    found = desk.ledger.bury("dead")
    assert [one.id for one in found.deliveries] == [dead.id]
    assert (desk.status(dead.id), desk.job(dead.id).deaths) == (Status.QUEUED, 1)
    assert desk.ledger.renew([alive]).signals == {alive.id: "go"}
    assert desk.ledger.bury("dead").deliveries == []


def test_a_buried_process_condemns_like_a_lost_lease(desk):
    job_id = desk.submit()
    for alone in (False, False, True):
        claim = desk.claim(job_id)
        if alone:
            desk.ledger.run_alone(claim)
        desk.send(desk.ledger.bury("w").deliveries)
    desk.ledger.run_alone(desk.claim(job_id))
    assert desk.ledger.bury("w").condemned == [job_id]


def test_many_at_once_in_portions(desk, monkeypatch):
    monkeypatch.setattr("jobs.ledger.PORTION", 3)
    claims = [desk.start() for _ in range(7)]
    for claim in claims:
        desk.end_lease(claim.id)
    sizes = [len(desk.ledger.recover().deliveries) for _ in range(4)]
    assert sizes == [3, 3, 1, 0]


def test_a_sleeper_that_wakes_up_is_told(desk):
    claim = desk.start()
    desk.die(claim.id)
    second = desk.claim(claim.id)
    assert desk.ledger.renew([claim]).signals == {claim.id: "lost"}
    with pytest.raises(LeaseLost):
        desk.succeed(claim)
    desk.succeed(second)
