"""The clients of the state machine in `test_model.py`: they submit, cancel, retry and delete."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobs.errors import Conflict, NotFound, QueueFull
from jobs.ledger import Limits
from jobs.states import Kind, Phase
from tests.jobs.reference import ENDED, MOST_CHILDREN, Expected, Reference

MOST_QUEUED, MOST_CHARACTERS = 8, 400
"""Of an owner: few enough to be reached."""


class Clients(Reference):
    """Rules that act on the ledger and on the model, and compare what both say."""

    # --- both sides at once

    def sent(self, deliveries):
        """Take the deliveries of a call: just those that the model made due, each with a number never seen before."""
        found = [delivery for delivery in deliveries if delivery is not None]
        assert sorted(one.id for one in found) == sorted(self.fresh)
        for delivery in found:
            job = self.jobs[delivery.id]
            assert (delivery.step, delivery.queue, delivery.phase) == (job.step, job.queue, job.phase)
            assert delivery.sequence not in self.sequences
            self.sequences.add(delivery.sequence)
            self.deliveries[delivery.id] = delivery
        self.fresh = set()

    def some_job(self, data, *, also_gone=True):
        return data.draw(st.sampled_from(sorted(self.jobs) + (self.gone[-2:] if also_gone else [])))

    @property
    def any_job(self):
        return bool(self.jobs or self.gone)

    # --- clients

    @rule(owner=st.sampled_from(["ann", "bob"]), priority=st.sampled_from([1, 4, 7]), parent=st.booleans())
    def submit(self, owner, priority, parent):
        self._submit(owner, priority, parent=parent)

    def too_many(self, new, limits):
        """Whether a job passes a limit of its owner."""
        queued = int(self.queued_counts().get(new.owner, 0))
        characters = int(self.weights("characters").get(new.owner, 0))
        return (0 < queued >= limits.queued) or (characters > 0 and characters + new.characters > limits.characters)

    def _submit(self, owner, priority, *, parent):
        phase = Phase.PLANNING if parent else Phase.NONE
        kind, queue = (Kind.AUDIOBOOK, "cpu") if parent else (Kind.TTS, "tts")
        self.submitted += 1
        new = self.desk.new(
            id=f"{self.submitted:026d}", owner=owner, priority=priority, phase=phase, kind=kind, queue=queue,
            characters=10 * priority, seconds=priority, idempotency_key=str(self.submitted),
        )  # fmt: skip
        limits = Limits(queued=MOST_QUEUED, characters=MOST_CHARACTERS)
        if self.too_many(new, limits):
            with pytest.raises(QueueFull):
                self.ledger.submit(new, owner_limits=limits)
            return None
        found = self.ledger.submit(new, owner_limits=limits)
        job = self.jobs[new.id] = Expected(
            new.id, owner, queue, priority, phase=phase.value, characters=new.characters, seconds=new.seconds
        )
        self.enqueue(job, front=False)
        self.sent([found.delivery])
        return new.id

    @precondition(lambda self: self.any_job)
    @rule(data=st.data())
    def cancel(self, data):
        job_id = self.some_job(data)
        job = self.jobs.get(job_id)
        if job is None or job.status in ENDED:
            with pytest.raises(NotFound if job is None else Conflict):
                self.ledger.cancel(job_id)
            return
        found = self.ledger.cancel(job_id)
        job.cancel = True
        if job.status == "queued" or (not job.worker and not self.active(job_id)):
            self.finish(job, "canceled")
        for child in self.children(job_id):
            if child.status == "queued":
                self.finish(child, "canceled")
        self.sent(found)

    @precondition(lambda self: any(job.status in ENDED for job in self.jobs.values()))
    @rule(data=st.data(), killed=st.booleans())
    def retry(self, data, killed):
        ended = [job for job in self.jobs.values() if job.status in ENDED]
        broken = [self.jobs.get(job.parent) for job in ended if job.status != "succeeded"]
        parents = [job for job in broken if job is not None and job.status in ENDED]
        self._retry(data.draw(st.sampled_from(sorted(job.id for job in ended + parents))), killed=killed)

    @precondition(lambda self: self.any_job)
    @rule(data=st.data())
    def retry_whatever(self, data):
        self._retry(self.some_job(data), killed=False)

    def _retry(self, job_id, *, killed):
        job, found = self.jobs.get(job_id), []
        parent = self.jobs.get(job.parent) if job and job.parent else None
        broken = job and any(child.status in {"failed", "canceled"} for child in self.children(job_id))
        refused = None
        if job is None:
            refused = NotFound
        elif job.status not in ENDED or (job.status == "succeeded" and (not broken or job.phase == "planning")):
            refused = Conflict
        elif job.parent and parent is None:
            refused = NotFound
        elif parent and (parent.status in ENDED or parent.phase == "assembling"):
            refused = Conflict
        if refused:
            with pytest.raises(refused):
                self.ledger.retry(job_id, found.extend)
            return
        self._retry_by_ledger(job_id, found, killed=killed)
        if not job.phase or job.phase == "planning" or not self.children(job_id):
            job.phase = job.phase and "planning"
            job.retrying = bool(self.children(job_id))
            self.requeue(job)
        else:
            result = job.result
            self.reset(job)
            job.status, job.phase, job.result = "running", "waiting", result
            self.retry_children_of(job)
            self.wake(job)
        self.sent(found)

    def _retry_by_ledger(self, job_id, found, *, killed):
        """Retry to the end, or die after the first answer, so that the sweeper goes on."""

        class Killed(BaseException):
            pass

        def send(deliveries):
            found.extend(deliveries)
            if killed:
                raise Killed

        try:
            self.ledger.retry(job_id, send)
        except Killed:
            self._sweep_up(job_id, found)

    def _sweep_up(self, job_id, found):
        """Sweep until a parent's retry is done: two children at a time."""
        for _ in range(MOST_CHILDREN):
            if self.redis.hget(f"vq:job:{job_id}", "phase") == "retrying":
                self.desk.end_lease(job_id)
                found.extend(self.ledger.recover().deliveries)

    @precondition(lambda self: len(self.jobs) > 5)
    @rule(data=st.data())
    def delete(self, data):
        self._delete(self.some_job(data))

    def _delete(self, job_id):
        job = self.jobs.get(job_id)
        if job is None or job.parent in self.jobs:
            with pytest.raises(NotFound if job is None else Conflict):
                self.ledger.delete(job_id)
            return
        self.ledger.delete(job_id)
        self.erase(job)
