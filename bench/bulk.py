"""Planning a batch of 50,000 lines: seconds, round trips to Redis and memory, beside a child at a time.

`python -m bench.bulk [LINES] [--save]` prints a table. No worker runs: it is the planner that is measured, with the
real ledger, broker and store.
"""

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import redis.connection
from celery import Celery

from bench.results import save
from bench.servers import valkey
from jobs.broker import QUEUE_OF, Broker
from jobs.connect import connect
from jobs.files import DiskStore
from jobs.ids import child_id, new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.queries import Queries
from jobs.settings import Settings
from jobs.specs import BatchSpec, TTSSpec
from jobs.states import Kind, Phase
from workers.batches import Batches
from workers.parents import Family
from workers.session import Session

LINES = 50_000
FEW = 2_000
"""Children of the baseline; their time grows in proportion."""
SENTENCE = "今天天气很好，我们去公园。"


@contextlib.contextmanager
def round_trips():
    """Count what is sent to Redis and waited for, by this process' clients, Celery's too."""
    sent = redis.connection.AbstractConnection.send_packed_command
    counted = [0]

    def count(connection, command, check_health=True):
        counted[0] += 1
        return sent(connection, command, check_health=check_health)

    redis.connection.AbstractConnection.send_packed_command = count
    try:
        yield counted
    finally:
        redis.connection.AbstractConnection.send_packed_command = sent


class Bench:
    def __init__(self, url, folder):
        celery = Celery("voxqueue")
        celery.config_from_object("celeryconfig")
        celery.conf.broker_url = url
        self.redis = connect(url)
        self.ledger = Ledger(self.redis)
        self.broker = Broker(celery, self.redis)
        self.store = DiskStore(Path(folder))
        family = Family(self.ledger, Queries(self.redis), self.broker)
        self.batches = Batches(family, self.store, Settings(redis_url=url, data_dir=Path(folder)))

    def parent(self, lines):
        """Return the session of a parent with so many lines that is to be planned."""
        job_id = new_id()
        text = (
            json.dumps({"custom_id": f"clip-{n}", "tts": {"text": f"{SENTENCE}第{n}句。"}}, ensure_ascii=False) + "\n"
            for n in range(lines)
        )
        file = self.store.put(job_id, (line.encode() for line in text), name="b.jsonl", media_type="application/jsonl")
        spec = BatchSpec().model_dump_json()
        new = NewJob(job_id, Kind.BATCH, QUEUE_OF[Kind.BATCH], 7, "bench", spec, [file], phase=Phase.PLANNING)
        delivery = self.ledger.submit(new).delivery
        claim = self.ledger.claim(job_id, delivery.sequence, "bench")
        assert isinstance(claim, Claim)
        return Session(claim, self.ledger)

    def one_by_one(self, children):
        parent = self.parent(1).job
        spec = TTSSpec(text=SENTENCE).model_dump_json(exclude_none=True)
        for n in range(children):
            new = NewJob(child_id(parent.id, n), Kind.TTS, "tts", 7, parent.owner, spec, parent=parent.id, index=n)
            self.broker.send([self.ledger.submit(new).delivery])

    def plan(self, lines):
        session = self.parent(lines)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with round_trips() as trips:
            began, worked = time.perf_counter(), time.process_time()
            self.batches.plan(session)
            seconds, busy = time.perf_counter() - began, time.process_time() - worked
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert self.redis.zcard(f"vq:children:{session.job.id}:*") == lines
        return seconds, busy, trips[0], grown / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lines", nargs="?", type=int, default=LINES)
    parser.add_argument("--save", action="store_true")
    wanted = parser.parse_args()
    with valkey() as url, tempfile.TemporaryDirectory() as folder:
        bench = Bench(url, folder)
        bench.plan(FEW)  # warm up
        with round_trips() as trips:
            began, worked = time.perf_counter(), time.process_time()
            bench.one_by_one(FEW)
            baseline, alone = time.perf_counter() - began, time.process_time() - worked
        seconds, busy, planned, megabytes = bench.plan(wanted.lines)
        messages = bench.redis.llen("tts:7")
    rows = [
        "| planner | children | seconds | ms of CPU a child | round trips a child | memory grown by MiB |",
        "| --- | --- | --- | --- | --- | --- |",
        f"| one by one | {FEW} | {baseline:.1f} | {1000 * alone / FEW:.2f} | {trips[0] / FEW:.2f} | |",
        (
            f"| `Batches.plan` | {wanted.lines} | {seconds:.1f} | {1000 * busy / wanted.lines:.2f} "
            f"| {planned / wanted.lines:.3f} | {megabytes:.0f} |"
        ),
        "",
        (
            f"{(baseline / FEW) / (seconds / wanted.lines):.1f} times as fast over loopback, where a round trip is "
            f"nearly free; {messages} messages wait in the broker; load {os.getloadavg()[0]:.1f}."
        ),
    ]
    print("\n".join(rows))
    if wanted.save:
        save("Planning a batch", "python -m bench.bulk --save", "\n".join(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
