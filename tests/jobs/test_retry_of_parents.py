"""Parents are retried: only what failed is done again, whoever dies on the way, and the result is assembled anew."""

import pytest

from jobs.errors import Conflict
from jobs.ledger import Claim
from jobs.record import Output
from jobs.states import Phase, Status

PHASES = ("queued", "planning", "waiting", "woken", "assembling")


@pytest.fixture
def broken(desk, monkeypatch):
    """Make a parent that has failed, and all its children, too. They are retried two at a time."""
    monkeypatch.setattr("jobs.ledger.PORTION", 2)

    def make(count):
        parent, chapters = desk.parent(count)
        for chapter in chapters:
            desk.fail(desk.claim(chapter))
        desk.fail(desk.claim(parent))
        return parent, chapters

    return make


def test_a_succeeded_parent_retries_its_failed_children_and_assembles_again(desk, redis):
    parent, [one, two] = desk.parent(2)
    desk.succeed(desk.claim(one))
    desk.fail(desk.claim(two))
    desk.succeed(desk.claim(parent), Output(text="half"))
    desk.drop(one)
    desk.retry(parent)
    assert desk.status(parent) is Status.RUNNING
    assert desk.job(parent).expires is None
    assert redis.zcard("vq:expiry") == 0
    assert not desk.drop(one)
    desk.succeed(desk.claim(two))
    desk.succeed(desk.claim(parent), Output(text="whole"))
    assert desk.job(parent).output["text"] == "whole"
    with pytest.raises(Conflict, match="succeeded"):
        desk.retry(parent)


def test_an_assembler_that_failed_assembles_again(desk):
    parent, [child] = desk.parent(1)
    desk.succeed(desk.claim(child))
    desk.fail(desk.claim(parent))
    desk.drop(child)
    desk.retry(parent)
    assert not desk.drop(child)
    desk.succeed(desk.claim(parent))


@pytest.mark.parametrize("phase", PHASES)
def test_after_a_cancel_in_every_phase_it_can_still_succeed(desk, at_phase, phase):
    parent, _ = at_phase(phase)
    claimed = phase in {"planning", "assembling"}
    claim = Claim(desk.job(parent))
    desk.cancel(parent)
    if claimed:
        desk.give_up(claim)
    desk.retry(parent)
    assert not desk.job(parent).cancel
    for _ in range(3):
        work_off(desk, children=4 if phase in {"queued", "planning"} else 3)
        desk.send(desk.ledger.recover().deliveries)
    assert desk.status(parent) is Status.SUCCEEDED
    assert desk.queries.count_children(parent)["succeeded"] == desk.queries.count_children(parent)["total"]


def test_a_planner_that_failed_without_children_plans_again(desk):
    parent, _ = desk.parent(0, planned=False)
    desk.fail(Claim(desk.job(parent)))
    desk.retry(parent)
    assert desk.status(parent) is Status.QUEUED
    assert desk.claim(parent).job.phase is Phase.PLANNING


def test_each_child_has_one_turn_however_fast_it_fails(desk, broken):
    parent, chapters = broken(7)
    turns = []

    def fail_at_once(deliveries):
        for delivery in deliveries:
            turns.append(delivery.id)
            desk.send([delivery])
            if delivery.id != parent:
                desk.fail(desk.claim(delivery.id))

    desk.ledger.retry(parent, fail_at_once)
    assert turns == chapters or turns == [*chapters, parent]
    assert desk.sent[parent].phase is Phase.ASSEMBLING


@pytest.mark.parametrize("survives", [0, 2])
def test_the_sweeper_goes_on_when_the_retrying_process_dies(desk, broken, survives):
    parent, chapters = broken(5)

    class Killed(BaseException):
        pass

    def die(deliveries):
        desk.send(deliveries)
        if len(deliveries) == survives:
            raise Killed

    desk.sent.clear()
    with pytest.raises(Killed):
        desk.ledger.retry(parent, die)
    assert len(desk.sent) == survives
    desk.end_lease(parent)
    for _ in range(3):
        desk.send(desk.ledger.recover().deliveries)
    assert sorted(desk.sent) == chapters
    for chapter in chapters:
        desk.succeed(desk.claim(chapter))
    desk.succeed(desk.claim(parent))


def test_a_cancel_in_the_middle_of_a_retry(desk, broken):
    parent, _ = broken(5)
    desk.ledger.retry(parent, lambda found: desk.cancel(parent) if found else None)
    assert desk.status(parent) is Status.CANCELED
    assert desk.queries.count_children(parent)["queued"] == 0


def test_a_cancel_in_the_middle_of_a_retry_while_a_child_runs(desk, broken):
    parent, chapters = broken(5)
    claims = []

    def cancel_at_first(deliveries):
        desk.send(deliveries)
        if not claims:
            claims.append(desk.claim(chapters[0]))
            desk.cancel(parent)

    desk.ledger.retry(parent, lambda found: cancel_at_first(found) if found else None)
    assert [desk.status(one) for one in chapters] == ["running", "canceled", "failed", "failed", "failed"]
    desk.give_up(claims[0])
    assert desk.status(parent) is Status.CANCELED


def test_a_child_is_refused_when_its_parent_has_ended(desk, broken):
    parent, [one, _] = broken(2)
    desk.drop(one)
    with pytest.raises(Conflict, match="retry the parent"):
        desk.retry(one)
    assert (desk.status(parent), desk.status(one)) == ("failed", "failed")
    assert not desk.drop(one)


def test_a_child_while_its_parent_waits_is_assembled_too(desk):
    parent, [one, two] = desk.parent(2)
    desk.fail(desk.claim(one))
    desk.retry(one)
    desk.drop(parent)
    desk.succeed(desk.claim(two))
    assert not desk.drop(parent)
    desk.succeed(desk.claim(one))
    assert desk.drop(parent)


def test_a_child_is_refused_while_its_parent_is_assembled(desk, at_phase):
    _, chapters = at_phase("assembling")
    with pytest.raises(Conflict, match="being assembled"):
        desk.retry(chapters[1])


def test_a_child_of_a_parent_that_was_never_planned_to_its_end(desk):
    parent, [child] = desk.parent(1, planned=False)
    desk.fail(desk.claim(child))
    desk.fail(Claim(desk.job(parent)))
    with pytest.raises(Conflict, match="retry the parent"):
        desk.retry(child)


def work_off(desk, children):
    """Do all that is due, as workers would; planners plan so many children."""
    while desk.sent:
        job_id, _ = desk.sent.popitem()
        found = desk.ledger.claim(job_id, _.sequence, "w")
        if not isinstance(found, Claim):
            desk.send([found.wake])
        elif found.job.phase is Phase.PLANNING:
            for index in range(children):
                desk.child(job_id, index)
            desk.ledger.retry_children(job_id, desk.send)
            desk.send([desk.ledger.wait_for_children(found)])
        else:
            desk.succeed(found)
