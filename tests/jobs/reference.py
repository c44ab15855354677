"""What the ledger should do, in plain Python: the model that `test_model.py` holds it against."""

from collections import Counter
from dataclasses import dataclass, field

from jobs.states import MOVES, Status

ENDED = {"succeeded", "failed", "canceled"}
MOST_CHILDREN = 4


@dataclass
class Expected:
    """What a job should be. `due`: a delivery is under way; `step`: in which list; `committed`: the last claim to."""

    id: str
    owner: str
    queue: str
    priority: int
    parent: str = ""
    phase: str = ""
    status: str = "queued"
    due: bool = False
    step: int = 0
    attempt: int = 0
    worker: str = ""
    deaths: int = 0
    deaths_alone: int = 0
    last_alone: int = 0
    alone: bool = False
    alone_now: bool = False
    awaiting: bool = False
    cancel: bool = False
    parked: str = ""
    retrying: bool = False
    characters: int = 0
    seconds: int = 0
    units: set = field(default_factory=set)
    result: str = ""
    committed: str = ""

    def __setattr__(self, name, value):
        if name == "status" and value != getattr(self, "status", value):
            assert Status(value) in MOVES[Status(self.status)], (self.id, self.status, value)
        super().__setattr__(name, value)


class Reference:
    """The rules of the ledger. `fresh`: jobs that the present step has made due."""

    def __init__(self):
        super().__init__()
        self.jobs: dict[str, Expected] = {}
        self.gone: list[str] = []
        self.submitted = 0  # makes the IDs, so that a run can be repeated
        self.held: set[str] = set()
        self.draining: set[str] = set()
        self.fresh: set[str] = set()
        self.deaths_in: Counter[str] = Counter()

    def children(self, parent):
        return [job for job in self.jobs.values() if job.parent == parent]

    def active(self, parent):
        return [job for job in self.children(parent) if job.status in {"queued", "running"}]

    def flagged(self, job):
        return job.cancel or (job.parent in self.jobs and self.jobs[job.parent].cancel)

    def enqueue(self, job, *, front):
        job.due, job.step = True, max(0, job.priority - 1) if front else job.priority
        job.worker, job.alone_now, job.awaiting = "", False, False
        self.fresh.add(job.id)

    def finish(self, job, status, result=""):
        job.status, job.due, job.worker, job.alone_now, job.parked, job.result = status, False, "", False, "", result
        job.awaiting = False
        if status == "succeeded":
            job.units = set()
        if job.parent in self.jobs:
            self.wake(self.jobs[job.parent])

    def wake(self, parent):
        if parent.phase == "waiting" and parent.status == "running" and not self.active(parent.id):
            if parent.cancel:
                self.finish(parent, "canceled")
            else:
                parent.phase = "assembling"
                self.enqueue(parent, front=True)

    def give_back(self, job, *, front):
        if self.flagged(job):
            self.finish(job, "canceled")
            return
        if job.phase in {"", "planning"}:
            job.status = "queued"
        self.enqueue(job, front=front)

    def a_process_dies(self, jobs):
        """Note in which queues, before the jobs that it had in hand are told by `die`."""
        self.deaths_in.update({job.queue for job in jobs})

    def condemns(self, job):
        """Whether the death that was just noted ends the job."""
        in_a_row = job.deaths_alone >= 1 and job.last_alone == self.deaths_in[job.queue] - 1
        return job.alone_now and not job.awaiting and (in_a_row or job.deaths_alone >= 5) and not self.flagged(job)

    def die(self, job):
        if job.awaiting:
            self.give_back(job, front=True)
            return
        if self.condemns(job):
            self.finish(job, "failed", "worker_died")
            return
        was_alone = job.alone_now
        if was_alone:
            job.deaths_alone, job.last_alone = job.deaths_alone + 1, self.deaths_in[job.queue]
        job.deaths += 1
        job.alone = job.deaths >= 2
        self.give_back(job, front=not was_alone)

    def forgive(self, job):
        job.deaths, job.deaths_alone, job.alone = 0, 0, False

    def reset(self, job):
        self.forgive(job)
        job.cancel, job.result = False, ""

    def requeue(self, job):
        job.status = "queued"
        self.reset(job)
        self.enqueue(job, front=False)

    def retry_children_of(self, parent):
        parent.retrying = False
        if not parent.cancel:
            for child in self.children(parent.id):
                if child.status in {"failed", "canceled"}:
                    self.requeue(child)

    def erase(self, job):
        del self.jobs[job.id]
        self.gone.append(job.id)

    def holder(self, job, held=None):
        held = self.held if held is None else held
        kind = "kind:audiobook" if job.phase else "kind:chapter" if job.parent else "kind:tts"
        return next((what for what in (kind, f"owner:{job.owner}") if what in held), "")

    def holds(self, job, attempt):
        return (
            job is not None
            and job.attempt == attempt
            and job.worker != ""
            and job.status not in ENDED
            and (not job.parent or job.parent in self.jobs)
        )

    def lists(self):
        """Sorted sets of the ledger and who should be in them."""
        wanted: dict[str, set] = {}
        for job in self.jobs.values():
            kind = "audiobook" if job.phase else "tts"
            if job.parent:
                keys = [f"children:{job.parent}:{status}" for status in (job.status, "*")]
            else:
                owners, kinds, statuses = (job.owner, "*"), (kind, "*"), (job.status, "*")
                keys = [f"list:{o}:{k}:{s}" for o in owners for k in kinds for s in statuses]
                keys += ["expiry"] if job.status in ENDED else []
            keys += [f"waiting:{job.queue}:{job.step}"] if job.due else []
            keys += ["leases"] if job.worker else []
            keys += [f"parked:{job.parked}"] if job.parked else []
            for key in keys:
                wanted.setdefault(f"vq:{key}", set()).add(job.id)
        return wanted

    def weights(self, measure):
        """What a measure's hash should hold."""
        found = {}
        for job in self.jobs.values():
            for whose in (job.owner, "*") if job.status not in ENDED and getattr(job, measure) else ():
                found[whose] = found.get(whose, 0) + getattr(job, measure)
        return {whose: str(weight) for whose, weight in found.items()}

    def queued_counts(self):
        queued = [job.owner for job in self.jobs.values() if job.status == "queued"]
        return {owner: str(queued.count(owner)) for owner in queued} | ({"*": str(len(queued))} if queued else {})
