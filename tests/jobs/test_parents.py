"""Parents: planned, woken exactly once by their last child, retried, cancelled and deleted in every phase."""

import pytest

from jobs.errors import Conflict, LeaseLost, NotFound
from jobs.ids import child_id
from jobs.ledger import Claim, Refusal
from jobs.states import Phase, Status

PHASES = ("queued", "planning", "waiting", "woken", "assembling")


class TestWaking:
    def test_by_the_last_child_and_only_by_it(self, desk):
        parent, chapters = desk.parent(3)
        desk.drop(parent)
        for end, chapter in zip((desk.succeed, desk.fail, desk.give_up), chapters, strict=True):
            assert not desk.drop(parent)
            end(desk.claim(chapter))
        assert desk.sent[parent].phase is Phase.ASSEMBLING
        claim = desk.claim(parent)
        assert (claim.job.phase, claim.attempt) == (Phase.ASSEMBLING, 2)
        assert desk.queries.count_children(parent) == {
            "total": 3, "queued": 0, "running": 0, "succeeded": 1, "failed": 1, "canceled": 1,
        }  # fmt: skip
        desk.succeed(claim)
        assert desk.status(parent) is Status.SUCCEEDED

    def test_at_once_when_its_children_have_ended_before_it_waits(self, desk):
        parent, [child] = desk.parent(1, planned=False)
        planner = Claim(desk.job(parent))
        desk.succeed(desk.claim(child))
        assert desk.ledger.wait_for_children(planner).phase is Phase.ASSEMBLING

    def test_at_once_when_it_has_none(self, desk):
        parent, _ = desk.parent(0)
        assert desk.sent[parent].phase is Phase.ASSEMBLING

    def test_by_a_child_that_the_sweeper_ends(self, desk):
        parent, [child] = desk.parent(1)
        for _ in range(2):
            desk.claim(child)
            desk.die(child)
        desk.ledger.run_alone(desk.claim(child))
        desk.die(child)
        desk.ledger.run_alone(desk.claim(child))
        desk.drop(parent)
        assert desk.die(child).condemned == [child]
        assert desk.sent[parent].phase is Phase.ASSEMBLING

    def test_by_a_child_that_a_client_cancels(self, desk):
        parent, [child] = desk.parent(1)
        desk.drop(parent)
        desk.cancel(child)
        assert desk.sent[parent].phase is Phase.ASSEMBLING

    def test_a_lost_assemble_message_is_sent_again(self, desk):
        parent, [child] = desk.parent(1)
        desk.succeed(desk.claim(child))
        step = desk.sent[parent].step
        assert desk.ledger.lost("cpu", step, 0, 20) == []
        desk.age_looks(20)
        [again] = desk.ledger.lost("cpu", step, 0, 20)
        assert (again.id, again.phase) == (parent, Phase.ASSEMBLING)


def test_a_planner_that_dies_plans_again_without_second_children(desk):
    parent, chapters = desk.parent(2, planned=False)
    [again] = desk.die(parent).deliveries
    assert again.phase is Phase.PLANNING
    second = desk.claim(parent)
    for index in range(4):
        desk.child(parent, index)
    desk.send([desk.ledger.wait_for_children(second)])
    children = [child.id for child in desk.queries.children(parent).jobs]
    assert children == [*chapters, child_id(parent, 2), child_id(parent, 3)]
    for child in children:
        desk.succeed(desk.claim(child))
    assert desk.sent[parent].phase is Phase.ASSEMBLING


def test_an_assembler_that_dies_or_drains_assembles_again(desk, at_phase):
    parent, _ = at_phase("assembling")
    assert [one.phase for one in desk.die(parent).deliveries] == [Phase.ASSEMBLING]
    claim = desk.claim(parent)
    assert claim.job.status is Status.RUNNING
    assert desk.release(claim, front=True).phase is Phase.ASSEMBLING
    desk.succeed(desk.claim(parent))


def test_deaths_of_planning_are_not_held_against_assembling(desk):
    parent, _ = desk.parent(0, planned=False)
    desk.die(parent)
    desk.send([desk.ledger.wait_for_children(desk.claim(parent))])
    assert desk.claim(parent).job.deaths == 0


def test_a_parents_running_time_is_that_of_its_whole_work(desk, redis):
    parent, [child] = desk.parent(1)
    redis.hincrby(f"vq:job:{parent}", "begun", -5000)
    desk.succeed(desk.claim(child))
    desk.succeed(desk.claim(parent))
    assert 5 <= desk.job(parent).running_seconds < 30


def test_progress_is_the_sum_of_the_childrens(desk):
    parent, [one, two] = desk.parent(2)
    first = desk.claim(one)
    desk.ledger.progress(first, 0, 4, "sentence")
    desk.ledger.register(first, "0", {}, done=1, total=4)
    second = desk.claim(two)
    desk.ledger.progress(second, 2, 6, "sentence")
    assert (desk.job(parent).done, desk.job(parent).total) == (3, 10)
    desk.succeed(first)
    desk.fail(second)
    desk.succeed(desk.claim(parent))
    assert (desk.job(parent).done, desk.job(parent).total) == (6, 10)
    desk.retry(parent)
    desk.succeed(desk.claim(two))
    desk.succeed(desk.claim(parent))
    assert (desk.job(parent).done, desk.job(parent).total) == (10, 10)


def test_what_children_will_have_to_do_counts_from_the_plan_on_and_is_put_right_later(desk):
    parent, _ = desk.parent(0, planned=False)
    one, _, _ = [desk.child(parent, index, total=10, unit="sentence") for index in (0, 0, 1)]  # a plan may be repeated
    assert (desk.job(parent).done, desk.job(parent).total) == (0, 20)
    claim = desk.claim(one)
    desk.ledger.progress(claim, 0, 12, "sentence")
    assert (desk.job(parent).done, desk.job(parent).total) == (0, 22)


def test_a_parent_is_seen_to_change_with_its_children(desk):
    parent, [child] = desk.parent(1)
    versions = [desk.job(parent).version]
    claim = desk.claim(child)
    versions.append(desk.job(parent).version)
    desk.ledger.progress(claim, 1, 2, "sentence")
    versions.append(desk.job(parent).version)
    desk.succeed(claim)
    versions.append(desk.job(parent).version)
    assert versions == sorted(set(versions))


class TestCancel:
    @pytest.mark.parametrize("phase", PHASES)
    def test_in_every_phase_it_ends_canceled_with_its_waiting_children(self, desk, at_phase, phase):
        parent, chapters = at_phase(phase)
        claimed = phase in {"planning", "assembling"}
        if claimed:
            claim = Claim(desk.job(parent))
        desk.cancel(parent)
        if claimed:
            assert desk.status(parent) is Status.RUNNING
            assert desk.ledger.renew([claim]).signals == {parent: "cancel"}
            desk.give_up(claim)
        assert desk.status(parent) is Status.CANCELED
        if phase in {"planning", "waiting"}:
            assert [desk.status(one) for one in chapters] == ["succeeded", "canceled", "canceled"]
        assert desk.ledger.recover().deliveries == []
        assert desk.queries.waiting("cpu") == {}

    def test_running_children_are_told_and_the_last_ends_it(self, desk):
        parent, [one, two] = desk.parent(2)
        claim = desk.claim(one)
        desk.cancel(parent)
        assert (desk.status(parent), desk.status(two)) == (Status.RUNNING, Status.CANCELED)
        assert desk.ledger.renew([claim]).signals == {one: "cancel"}
        desk.drop(parent)
        desk.give_up(claim)
        assert desk.status(parent) is Status.CANCELED
        assert not desk.drop(parent)  # nothing is assembled

    def test_a_child_that_comes_late_is_canceled_when_it_is_claimed(self, desk):
        parent, _ = desk.parent(1, planned=False)
        planner = Claim(desk.job(parent))
        desk.cancel(parent)
        late = desk.child(parent, 1)
        desk.send([desk.ledger.wait_for_children(planner)])
        assert desk.claim(late) == Refusal("canceled")
        assert desk.status(parent) is Status.CANCELED

    def test_a_child_of_a_drained_worker_is_canceled(self, desk):
        parent, [child] = desk.parent(1)
        claim = desk.claim(child)
        desk.cancel(parent)
        assert desk.release(claim, front=True) is None
        assert (desk.status(child), desk.status(parent)) == (Status.CANCELED, Status.CANCELED)

    def test_a_parent_whose_planner_died(self, desk):
        parent, _ = desk.parent(1, planned=False)
        desk.cancel(parent)
        desk.die(parent)
        assert desk.status(parent) is Status.CANCELED


class TestDelete:
    @pytest.mark.parametrize("phase", PHASES)
    def test_in_every_phase_its_children_go_with_it(self, desk, redis, at_phase, phase, monkeypatch):
        monkeypatch.setattr("jobs.ledger.PORTION", 2)
        parent, chapters = at_phase(phase, children=5)
        bystander = desk.submit()
        desk.cancel(bystander)
        desk.ledger.delete(parent)
        while desk.ledger.expire():
            pass
        for job_id in (parent, *chapters):
            with pytest.raises(NotFound):
                desk.job(job_id)
        assert set(desk.ledger.trash()) == {parent, *chapters}
        desk.ledger.empty_trash(desk.ledger.trash())
        desk.ledger.delete(bystander)
        desk.ledger.empty_trash([bystander])
        kept = set(redis.scan_iter("vq:answer:*")) | set(redis.scan_iter("vq:figures:*"))
        assert set(redis.scan_iter("*")) - kept == {"vq:schema", "vq:sequence", "vq:created"}

    def test_a_child_of_a_deleted_parent_cannot_be_claimed_and_goes_at_once(self, desk):
        parent, [child] = desk.parent(1)
        desk.ledger.delete(parent)
        assert desk.claim(child) == Refusal("gone")
        with pytest.raises(NotFound):
            desk.job(child)

    def test_a_running_child_of_a_deleted_parent_loses_its_lease(self, desk):
        parent, [child] = desk.parent(1)
        claim = desk.claim(child)
        desk.ledger.delete(parent)
        assert desk.ledger.renew([claim]).signals == {child: "lost"}
        with pytest.raises(LeaseLost):
            desk.succeed(claim)

    def test_a_child_is_not_deleted_alone(self, desk):
        _, [child] = desk.parent(1)
        with pytest.raises(Conflict, match="delete the parent"):
            desk.ledger.delete(child)

    def test_expiry_takes_the_children_too(self, desk, redis):
        parent, chapters = desk.parent(2)
        desk.cancel(parent)
        redis.zadd("vq:expiry", {parent: 1})
        gone = []
        while found := desk.ledger.expire():
            gone += found
        assert sorted(gone) == [parent, *chapters]


def test_many_children_are_written_down_in_one_round_trip_and_once(desk):
    parent, _ = desk.parent(0, planned=False)
    children = [desk.new(id=child_id(parent, index), parent=parent, index=index) for index in range(5)]
    first = desk.ledger.submit_many(children)
    again = desk.ledger.submit_many(children)
    assert [one.id for one in first] == [child.id for child in children]
    assert [one.delivery for one in again] == [one.delivery for one in first]
    assert [job.index for job in desk.queries.children(parent).jobs] == list(range(5))


def test_many_children_of_a_parent_that_is_gone_are_refused(desk):
    parent, _ = desk.parent(0, planned=False)
    children = [desk.new(id=child_id(parent, index), parent=parent, index=index) for index in range(3)]
    desk.ledger.delete(parent)
    with pytest.raises(NotFound, match="has ended or was deleted"):
        desk.ledger.submit_many(children)
