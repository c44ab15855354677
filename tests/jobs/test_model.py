"""The ledger against a small model of it, under random submits, claims, deaths, commits, cancels, retries and sweeps.

Hypothesis plays clients, workers (also such that have lost their job without knowing it), operators and sweepers. After
each step all that Redis holds is compared with the model.
"""

import json

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from jobs.errors import LeaseLost, NotFound
from jobs.ids import child_id
from jobs.ledger import Claim
from jobs.record import Output, Problem
from jobs.states import Kind
from tests.jobs.accidents import HOLDS, Accidents
from tests.jobs.clients import Clients
from tests.jobs.reference import ENDED, MOST_CHILDREN, Expected

BAD = Problem("bad", "Bad", "it went wrong")
EVERYTHING = """
local zsets, hashes, units = {}, {}, {}
for _, key in ipairs(redis.call('KEYS', 'vq:*')) do
  local type = redis.call('TYPE', key).ok
  if string.sub(key, 1, 9) == 'vq:units:' then units[string.sub(key, 10)] = redis.call('HKEYS', key)
  elseif type == 'zset' then zsets[key] = redis.call('ZRANGE', key, 0, -1)
  elseif type == 'hash' then hashes[key] = redis.call('HGETALL', key) end
end
return cjson.encode({ zsets, hashes, units })
"""


class LedgerMachine(Clients, Accidents, RuleBasedStateMachine):
    make_desk = None  # set by the test

    @initialize(twice=st.booleans())
    def begin(self, twice):
        self.desk = type(self).make_desk()
        self.desk.ledger.twice = twice
        self.ledger, self.redis = self.desk.ledger, self.desk.redis
        self.claims: list[tuple[Claim, str]] = []
        self.deliveries = {}
        self.sequences = set()

    # --- workers

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), worker=st.sampled_from(["w1", "w2"]), late=st.booleans())
    def claim(self, data, worker, late):
        due = sorted(job.id for job in self.jobs.values() if job.due)
        job_id = self.some_job(data) if late or not due else data.draw(st.sampled_from(due))
        self._claim(job_id, worker)

    def _claim(self, job_id, worker):
        found = self.ledger.claim(job_id, self.deliveries[job_id].sequence, worker)
        job = self.jobs.get(job_id)
        if job is None:
            assert found.why == "gone"
        elif job.status in ENDED:
            assert found.why == job.status
        elif not job.due:
            assert found.why == "stale"
        elif job.parent and job.parent not in self.jobs:
            assert found.why == "gone"
            self.erase(job)
        elif self.flagged(job):
            assert found.why == "canceled"
            self.finish(job, "canceled")
            self.sent([found.wake])
        elif self.holder(job):
            assert found.why == "held"
            job.due, job.parked = False, self.holder(job)
        else:
            job.status, job.due, job.worker = "running", False, worker
            job.attempt += 1
            assert (found.attempt, found.job.alone) == (job.attempt, job.alone)
            self.claims.append((found, job.phase))

    @precondition(lambda self: self.deliveries)
    @rule(data=st.data(), back=st.integers(1, 5))
    def claim_an_older_delivery(self, data, back):
        job_id = data.draw(st.sampled_from(sorted(self.deliveries)))
        sequence = self.deliveries[job_id].sequence - back
        job = self.jobs.get(job_id)
        why = "gone" if job is None else job.status if job.status in ENDED else "stale"
        assert self.ledger.claim(job_id, sequence, "late").why == why

    def some_claim(self, data):
        """Most of the time a valid one, else one of a worker that does not know it has lost its job."""
        valid = [one for one in self.claims if self.holds(self.jobs.get(one[0].id), one[0].attempt)]
        claim, phase = data.draw(st.sampled_from(valid * 3 + self.claims[-4:] or self.claims))
        job = self.jobs.get(claim.id)
        return claim, phase, job, self.holds(job, claim.attempt)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), unit=st.sampled_from("abc"), alone=st.booleans())
    def work(self, data, unit, alone):
        claim, _, job, valid = self.some_claim(data)
        if not valid:
            with pytest.raises(LeaseLost):
                self.ledger.register(claim, unit, {}, done=1, total=3)
            with pytest.raises(LeaseLost):
                self.ledger.run_alone(claim)
            with pytest.raises(LeaseLost):
                self.ledger.await_turn(claim, awaiting=True)
            assert self.ledger.renew([claim]).signals[claim.id] == "lost"
            return
        wanted = "cancel" if self.flagged(job) else "yield" if self.holder(job, self.draining) else "go"
        assert self.ledger.renew([claim]).signals[claim.id] == wanted
        if alone and job.alone:
            self.ledger.run_alone(claim)
            job.alone_now = True
            return
        if unit == "c" and not job.phase:
            self.ledger.progress(claim, 0, 90, "second")  # a recording whose length is found out
            job.seconds = 90
        self.ledger.register(claim, unit, {}, done=1, total=3)
        if unit not in job.units:
            job.units.add(unit)
            self.forgive(job)
            job.alone_now = False

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), awaiting=st.booleans())
    def await_turn(self, data, awaiting):
        claim, _, job, valid = self.some_claim(data)
        if valid:
            self.ledger.await_turn(claim, awaiting=awaiting)
            job.awaiting = awaiting

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), status=st.sampled_from(["succeeded", "succeeded", "failed", "canceled"]))
    def commit(self, data, status):
        claim, *_ = self.some_claim(data)
        self._commit(claim, status)

    def _commit(self, claim, status):
        job = self.jobs.get(claim.id)
        valid = self.holds(job, claim.attempt)
        mark = f"{claim.id}/{claim.attempt}"

        def call():
            match status:
                case "succeeded":
                    return self.ledger.succeed(claim, Output(text=mark))
                case "failed":
                    return self.ledger.fail(claim, BAD, Output(text=mark))
            return self.ledger.give_up(claim)

        if valid:
            wake = call()
            job.committed = claim.nonce
            self.finish(job, status, "" if status == "canceled" else mark)
            self.sent([wake])
        elif job and (job.status, job.committed) == (status, claim.nonce):
            assert call() is None  # said already
        else:
            with pytest.raises(LeaseLost):
                call()

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), front=st.booleans())
    def release(self, data, front):
        claim, _, job, valid = self.some_claim(data)
        if not valid:
            with pytest.raises(LeaseLost):
                self.ledger.release(claim, front=front)
            return
        found = self.ledger.release(claim, front=front)
        self.give_back(job, front=front)
        self.sent([found])

    @precondition(lambda self: any(phase == "planning" for _, phase in self.claims))
    @rule(data=st.data(), index=st.integers(0, MOST_CHILDREN - 1))
    def plan(self, data, index):
        self._plan(data.draw(st.sampled_from([claim for claim, phase in self.claims if phase == "planning"])), index)

    def _plan(self, claim, index):
        parent, new_id = self.jobs.get(claim.id), child_id(claim.id, index)
        new = self.desk.new(
            id=new_id, parent=claim.id, index=index, kind=Kind.CHAPTER, priority=7, owner=claim.job.owner, characters=7
        )
        if new_id in self.jobs:
            again = self.ledger.submit(new).delivery
            assert again == (self.deliveries[new_id] if self.jobs[new_id].due else None)
        elif parent is None or parent.status in ENDED:
            with pytest.raises(NotFound):
                self.ledger.submit(new)
        else:
            found = self.ledger.submit(new)
            child = self.jobs[new_id] = Expected(new_id, claim.job.owner, "tts", 7, parent=claim.id, characters=7)
            self.enqueue(child, front=False)
            self.sent([found.delivery])

    @precondition(lambda self: any(phase == "planning" for _, phase in self.claims))
    @rule(data=st.data(), in_person=st.booleans())
    def wait_for_children(self, data, in_person):
        claims = [claim for claim, phase in self.claims if phase == "planning"]
        self._wait_for_children(data.draw(st.sampled_from(claims)), in_person=in_person)

    def _wait_for_children(self, claim, *, in_person):
        job, found = self.jobs.get(claim.id), []
        if not self.holds(job, claim.attempt):
            with pytest.raises(LeaseLost):
                self.ledger.wait_for_children(claim)
            return
        if in_person:  # the planner itself goes on with a retry; else the sweeper will
            self.ledger.retry_children(job.id, found.extend)
        found.append(self.ledger.wait_for_children(claim))
        self._sweep_up(job.id, found)
        self.forgive(job)
        job.worker, job.alone_now, job.awaiting, job.phase = "", False, False, "waiting"
        job.characters = job.seconds = 0
        if job.retrying:
            self.retry_children_of(job)
        self.wake(job)
        self.sent(found)

    # --- whole stretches of a life, so that the rules above meet families in every phase

    @rule(
        ends=st.lists(st.sampled_from(["succeeded", "failed", "canceled"]), max_size=MOST_CHILDREN),
        stage=st.sampled_from(["planning", "waiting", "orphaned", "assembling", "succeeded", "failed", "canceled"]),
    )
    def found_a_family(self, ends, stage):
        parent = self._submit("bob", 7, parent=True)
        if parent is None or not self._claimed(parent):
            return
        planner, _ = self.claims[-1]
        for index in range(len(ends)):
            self._plan(planner, index)
        if stage == "planning":
            return
        self._wait_for_children(planner, in_person=False)
        if stage == "waiting":
            return
        if stage == "orphaned":
            self._claimed(child_id(parent, 0))
            self._delete(parent)
            return
        for index, end in enumerate(ends):
            if self._claimed(child_id(parent, index)):
                self._commit(self.claims[-1][0], end)
        if self._claimed(parent) and stage != "assembling":
            self._commit(self.claims[-1][0], stage)

    @precondition(lambda self: any(job.due for job in self.jobs.values()))
    @rule(data=st.data(), alone=st.booleans())
    def kill_again_and_again(self, data, alone):
        job_id = data.draw(st.sampled_from(sorted(job.id for job in self.jobs.values() if job.due)))
        for _ in range(2):
            if not self._claimed(job_id):
                return
            self._lose_the_lease(self.jobs[job_id])
        for _ in range(2):
            if not (alone and self._claimed(job_id)):
                return
            self.ledger.run_alone(self.claims[-1][0])
            self.jobs[job_id].alone_now = True
            self._lose_the_lease(self.jobs[job_id])

    def _claimed(self, job_id):
        """Claim a job if it is due; answers whether that made it run."""
        if job_id in self.jobs and self.jobs[job_id].due:
            self._claim(job_id, "w1")
        return job_id in self.jobs and self.jobs[job_id].worker == "w1"

    @precondition(lambda self: any(job.due for job in self.jobs.values()))
    @rule(data=st.data(), parents=st.booleans())
    def work_off(self, data, parents):
        """Do what is due, of parents or of all others, to some end."""
        for job_id in [job.id for job in self.jobs.values() if job.due and bool(job.phase) == parents]:
            self._claim(job_id, "w2")
            if job_id in self.jobs and self.jobs[job_id].worker and self.jobs[job_id].phase != "planning":
                self._commit(self.claims[-1][0], data.draw(st.sampled_from(["succeeded", "failed", "canceled"])))

    # --- what always holds

    @invariant()
    def all_is_as_in_the_model(self):
        if not hasattr(self, "desk"):
            return
        zsets, hashes, units = json.loads(self.redis.eval(EVERYTHING, 0))
        hashes = {key: dict(zip(flat[::2], flat[1::2], strict=True)) for key, flat in (hashes or {}).items()}
        for job in self.jobs.values():
            raw = hashes.get(f"vq:job:{job.id}")
            assert raw, job
            token = str(self.deliveries[job.id].sequence) if job.due else ""
            assert (raw["status"], raw["phase"], raw["attempt"]) == (job.status, job.phase, str(job.attempt)), job
            assert (raw["token"], raw["worker"] if raw["claim"] else "") == (token, job.worker), job
            assert (raw["deaths"], raw["deaths_alone"], raw["alone"], raw["alone_now"]) == (
                str(job.deaths), str(job.deaths_alone), str(int(job.alone)), str(int(job.alone_now)),
            ), job  # fmt: skip
            assert (raw["cancel"], raw.get("parked", "")) == (str(int(job.cancel)), job.parked), job
            assert raw["awaiting"] == str(int(job.awaiting)), job
            assert set((units or {}).get(job.id, ())) == job.units, job
            if job.status in ENDED:
                assert job.result in raw["output"] + raw["error"], job
        assert {key: set(members) for key, members in (zsets or {}).items()} == self.lists()
        assert hashes.get("vq:queued", {}) == self.queued_counts()
        for measure in ("characters", "seconds"):
            assert hashes.get(f"vq:{measure}", {}) == self.weights(measure)

    def teardown(self):
        """Everything is deleted: nothing is left."""
        if not hasattr(self, "desk"):
            return
        for what in HOLDS:
            self.ledger.free(what)
        for job in list(self.jobs.values()):
            if not job.parent:
                self.ledger.delete(job.id)
        while self.ledger.expire():
            pass
        self.ledger.unpark()
        self.ledger.empty_trash(self.ledger.trash(10_000))
        left = {
            key for key in self.redis.scan_iter("*", count=1000) if not key.startswith(("vq:answer:", "vq:figures:"))
        }
        assert left <= {"vq:schema", "vq:sequence", "vq:created", "vq:swept"}


def play(desk_of, monkeypatch, examples, steps, phases=(Phase.reuse, Phase.generate)):
    monkeypatch.setattr("jobs.ledger.PORTION", 2)
    machine = type("Machine", (LedgerMachine,), {"make_desk": staticmethod(desk_of)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_ledger_is_its_model(desk_of, monkeypatch):
    play(desk_of, monkeypatch, examples=80, steps=50)


@pytest.mark.slow
def test_the_ledger_is_its_model_for_long(desk_of, monkeypatch):
    play(desk_of, monkeypatch, examples=300, steps=80, phases=tuple(Phase))
