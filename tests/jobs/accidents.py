"""Accidents, sweepers and operators of the state machine in `test_model.py`."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.jobs.reference import ENDED, Reference

HOLDS = ("kind:tts", "kind:audiobook", "owner:ann")


class Accidents(Reference):
    """Rules that lose leases, workers and messages, hold and free, and erase what is over."""

    @precondition(lambda self: any(job.worker for job in self.jobs.values()))
    @rule(data=st.data())
    def lose_the_lease(self, data):
        job_id = data.draw(st.sampled_from(sorted(job.id for job in self.jobs.values() if job.worker)))
        self._lose_the_lease(self.jobs[job_id])

    def _lose_the_lease(self, job):
        self.desk.end_lease(job.id)
        found = self.ledger.recover()
        self.a_process_dies([job])
        assert found.condemned == ([job.id] if self.condemns(job) else [])
        self.die(job)
        self.sent(found.deliveries)

    @rule(worker=st.sampled_from(["w1", "w2"]))
    def kill_a_worker(self, worker):
        found = self.ledger.bury(worker)
        its = [job for job in self.jobs.values() if job.worker == worker]
        self.a_process_dies(its)
        for job in its:
            self.die(job)
        self.sent(found.deliveries)

    @precondition(lambda self: any(job.due for job in self.jobs.values()))
    @rule(data=st.data())
    def lose_messages(self, data):
        """The list of a queue's step has lost its messages up to some job's."""
        last = self.jobs[data.draw(st.sampled_from(sorted(job.id for job in self.jobs.values() if job.due)))]
        line = [job for job in self.jobs.values() if job.due and (job.queue, job.step) == (last.queue, last.step)]
        number = self.deliveries[last.id].sequence
        lost = [job for job in line if self.deliveries[job.id].sequence <= number]
        assert self.ledger.lost(last.queue, last.step, number + 1, 600) == []
        self.desk.age_looks(600)
        found = []
        while portion := self.ledger.lost(last.queue, last.step, number + 1, 600):
            found += portion
        self.redis.delete(f"vq:looks:{last.queue}:{last.step}")
        for job in lost:
            self.enqueue(job, front=True)
        self.sent(found)

    @rule(what=st.sampled_from(HOLDS), how=st.sampled_from(["hold", "drain", "free"]))
    def hold(self, what, how):
        if how == "free":
            self.ledger.free(what)
        else:
            self.ledger.hold(what, drain=how == "drain")
        (self.held.discard if how == "free" else self.held.add)(what)
        (self.draining.add if how == "drain" else self.draining.discard)(what)
        found = self.ledger.unpark()
        for job in self.jobs.values():
            if job.parked and job.parked not in self.held:
                job.parked = self.holder(job)
                if not job.parked:
                    self.enqueue(job, front=False)
        self.sent(found)

    @rule(data=st.data())
    def expire(self, data):
        over = sorted(job.id for job in self.jobs.values() if job.status in ENDED and not job.parent)
        doomed = set()
        if over:
            doomed = {data.draw(st.sampled_from(over))}
            self.redis.zadd("vq:expiry", dict.fromkeys(doomed, 1))
        gone = []
        while found := self.ledger.expire():
            gone += found
        doomed |= {job.id for job in self.jobs.values() if job.parent and job.parent not in self.jobs}
        doomed |= {child.id for one in list(doomed) for child in self.children(one)}
        assert sorted(gone) == sorted(doomed)
        for one in doomed:
            self.erase(self.jobs[one])
