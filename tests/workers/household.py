"""Parents at work without processes: real ledger and store; the test's hand does what the children's workers would."""

from dataclasses import dataclass, field

from app.submit import SUMMED, UNITS
from jobs.broker import QUEUE_OF
from jobs.files import DiskStore
from jobs.ids import new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output, Problem
from jobs.settings import Settings
from jobs.specs import parse_spec
from jobs.states import Kind, Phase
from workers.families import parent_handlers
from workers.gate import Gate
from workers.leases import LeaseKeeper
from workers.parents import Family
from workers.runner import Runner
from workers.session import JobFailed


@dataclass
class Household:
    """Deliveries that are due are in `due`, by the ID of the job: the newest."""

    redis: object
    settings: Settings
    due: dict = field(default_factory=dict)

    def __post_init__(self):
        self.ledger = Ledger(self.redis)
        self.queries = Queries(self.redis)
        self.store = DiskStore(self.settings.blobs_dir)
        self.handlers = parent_handlers(Family(self.ledger, self.queries, self), self.store, self.settings)
        self.leases = LeaseKeeper(self.ledger, "cpu", threads=1, slice_seconds=60)
        self.runner = Runner(self.ledger, self, self.leases, Gate(), "test")

    def send(self, deliveries):
        self.due |= {delivery.id: delivery for delivery in deliveries}

    def submit(self, kind: Kind, spec, files, owner="ann"):
        """Submit a parent; `files` are (name, media type, bytes)."""
        job_id = new_id()
        inputs = [self.store.put(job_id, data, name=name, media_type=media) for name, media, data in files]
        parsed = parse_spec(kind, spec)
        known = {
            "phase": Phase.PLANNING,
            "unit": UNITS[kind],
            "total": 0 if kind in SUMMED else len(inputs),
            "sums": kind in SUMMED,
            "timeout_seconds": parsed.timeout_seconds,
        }
        new = NewJob(job_id, kind, QUEUE_OF[kind], 7, owner, parsed.model_dump_json(), inputs, **known)
        self.send([self.ledger.submit(new).delivery])
        return job_id

    def run(self, job_id):
        """Plan or assemble."""
        delivery = self.due.pop(job_id)
        task = "plan" if delivery.phase is Phase.PLANNING else "assemble"
        try:
            self.runner.run(job_id, delivery.sequence, self.handlers[task])
        except JobFailed as failure:
            return failure.problem
        return None

    def children(self, parent):
        return self.queries.children(parent, limit=200).jobs

    def claim(self, job_id) -> Claim:
        found = self.ledger.claim(job_id, self.due.pop(job_id).sequence, "hand")
        assert isinstance(found, Claim), found
        return found

    def succeed(self, job_id, *files, **output):
        """End a child with files (name, media type, bytes)."""
        claim = self.claim(job_id)
        blobs = tuple(self.store.put(job_id, data, name=name, media_type=media) for name, media, data in files)
        self.send([found for found in [self.ledger.succeed(claim, Output(files=blobs, **output))] if found])

    def fail(self, job_id, detail="no sound"):
        self.send([found for found in [self.ledger.fail(self.claim(job_id), Problem("bad", "Bad", detail))] if found])

    def hear(self, job_id, text="你好 world"):
        """End a recording's child as a recogniser would."""
        [kind] = self.queries.get(job_id).spec["formats"]
        self.succeed(job_id, (f"x.{kind}", "text/plain", text.encode()), text=text, language="zh", duration_seconds=2.0)

    def read(self, job_id, name):
        """Return the bytes of a file of a result."""
        job = self.queries.get(job_id)
        blob = next(blob for blob in job.output_files if blob.name == name)
        with self.store.open(job_id, blob) as file:
            return file.read()
