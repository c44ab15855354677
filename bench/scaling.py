"""How many workers one ledger carries: simulated workers on the real ledger, the real sweeper and a real Valkey.

    python -m bench.scaling [--workers 10,100] [--cycles 4] [--save]

A simulated worker is what a worker process is to Valkey, without Celery, files and an engine: a connection that takes
real messages from the broker's lists as kombu does, claims the jobs, registers their units, renews its leases once a
second, publishes its report every two, commits, and sweeps when it is its turn. *Paced* workers have made-up work (so
and so many sentences a second); *flat out* there is none, and the ledger is all there is to wait for.

Clients and Valkey share the machine. So read the processor time of Valkey: what it takes for a job says how many one
core of it carries, whatever the clients cost here.
"""

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.results import save
from bench.servers import valkey

PROCESSES = 4
"""Over which the simulated workers are spread: one interpreter would be the bottleneck by itself."""
TEXT = {"text": "今天天气怎么样？我们去公园散步吧。" * 5}
REPORT = {
    "kind": "tts", "device": "cuda:0", "device_name": "simulated", "engine": "torch", "model": "demo", "jobs": 1000,
    "units": 100_000, "batches": 4000, "mean_batch_rows": 25.0, "padding_ratio": 0.1, "memory_bytes": 4_000_000_000,
}  # fmt: skip
CALLS = ("claim", "register", "renew", "commit")


@dataclass(frozen=True)
class Pace:
    """The made-up work: how many jobs a worker takes at a time, their units, and the time for one round of all."""

    in_hand: int
    units: int
    cycle_seconds: float
    """For one set of jobs, from claim to commit; 0: flat out."""

    def __str__(self) -> str:
        if not self.cycle_seconds:
            return "none"
        return f"{self.in_hand * self.units / self.cycle_seconds:.1f} sentences a second each"


@dataclass
class Seen:
    """What one simulated worker saw; latencies in seconds."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: {call: [] for call in CALLS})
    jobs: int = 0


class SimulatedWorker(threading.Thread):
    """A connection that works as a worker does until the queue is empty."""

    def __init__(self, url: str, name: str, pace: Pace, folder: Path) -> None:
        super().__init__(name=name, daemon=True)
        from celery import Celery

        from jobs.broker import Broker
        from jobs.connect import connect
        from jobs.ledger import Ledger
        from jobs.registry import Registry
        from jobs.settings import settings
        from jobs.webhooks import Webhooks
        from workers.sweeper import Sweeper

        self.pace, self.seen = pace, Seen()
        self._redis = connect(url)
        self._ledger, self._registry = Ledger(self._redis), Registry(self._redis)
        celery = Celery("bench")
        celery.config_from_object("celeryconfig")
        broker, webhooks = Broker(celery, self._redis), Webhooks(self._ledger, settings())
        self._sweeper = Sweeper(self._ledger, broker, webhooks, settings(), worker=name)
        self._claims = []
        self._renew_due = self._report_due = 0.0

    def run(self) -> None:
        """Work until no message comes any more."""
        random.seed(self.name)
        time.sleep(random.random() * self.pace.cycle_seconds)  # no two workers are in step
        self._sweeper.start()
        while self._take():
            self._work()
        self._sweeper.stop()

    def _take(self) -> bool:
        lists = ["tts"] + [f"tts:{step}" for step in range(1, 10)]
        while len(self._claims) < self.pace.in_hand:
            popped = self._redis.brpop(lists, timeout=1)
            if popped is None:
                return bool(self._claims)
            message = json.loads(popped[1])
            tag = message["properties"]["delivery_tag"]
            with self._redis.pipeline() as pipe:  # kombu notes what is not acknowledged
                pipe.zadd("unacked_index", {tag: time.time()})
                pipe.hset("unacked", tag, popped[1])
                pipe.execute()
            job_id, sequence = message["headers"]["id"], message["headers"]["sequence"]
            claim = self._timed("claim", self._ledger.claim, job_id, sequence, self.name)
            self._claims.append((claim, tag))
        return True

    def _work(self) -> None:
        from jobs.record import Blob, Output

        began, total = time.monotonic(), self.pace.units * len(self._claims)
        unit = {"blob": Blob("0" * 64, 90_000, media_type="audio/wav").to_json(), "seconds": 2.8}
        result = Output(files=(Blob("0" * 64, 900_000, "speech.wav", "audio/wav"),), duration_seconds=28.0)
        for number in range(total):
            due = began + (number + 1) / total * self.pace.cycle_seconds
            while (left := due - time.monotonic()) > 0:
                time.sleep(min(left, 0.2))
                self._keep_alive()
            self._keep_alive()
            index, which = divmod(number, len(self._claims))
            claim = self._claims[which][0]
            self._timed("register", self._ledger.register, claim, str(index), unit, done=index + 1, total=total)
        for claim, tag in self._claims:
            self._timed("commit", self._ledger.succeed, claim, result)
            with self._redis.pipeline() as pipe:
                pipe.zrem("unacked_index", tag)
                pipe.hdel("unacked", tag)
                pipe.execute()
            self.seen.jobs += 1
        self._claims = []

    def _keep_alive(self) -> None:
        now = time.monotonic()
        if now >= self._renew_due:
            self._renew_due = now + 1
            self._timed("renew", self._ledger.renew, [claim for claim, _ in self._claims], ["tts"])
        if now >= self._report_due:
            self._report_due = now + 2
            self._registry.publish_worker(self.name, {"name": self.name} | REPORT)

    def _timed(self, call, function, *args, **named):
        began = time.perf_counter()
        try:
            return function(*args, **named)
        finally:
            self.seen.latencies[call].append(time.perf_counter() - began)


def host(url: str, names: list[str], pace: Pace, folder: str, ready, found) -> None:
    """One process with some of the workers; puts what they saw into `found`."""
    os.environ["VOXQUEUE_REDIS_URL"] = url
    crew = [SimulatedWorker(url, name, pace, Path(folder)) for name in names]
    ready.wait()
    for worker in crew:
        worker.start()
    for worker in crew:
        worker.join()
    found.put([worker.seen for worker in crew])


def fill(url: str, jobs: int) -> float:
    """Submits jobs and sends their messages, as the web process does; gives jobs a second of one connection."""
    os.environ["VOXQUEUE_REDIS_URL"] = url
    from celery import Celery

    from jobs.broker import Broker
    from jobs.connect import connect
    from jobs.ids import new_id
    from jobs.ledger import Ledger, NewJob
    from jobs.specs import parse_spec
    from jobs.states import Kind

    spec = parse_spec(Kind.TTS, TEXT).model_dump_json(exclude_none=True)
    celery = Celery("bench")
    celery.config_from_object("celeryconfig")
    celery.conf.broker_url = url
    redis = connect(url)
    ledger, broker = Ledger(redis), Broker(celery, redis)
    began = time.perf_counter()
    for _ in range(jobs):
        job = NewJob(id=new_id(), kind=Kind.TTS, queue="tts", priority=4, owner="", spec=spec)
        broker.send([ledger.submit(job).delivery])
    return jobs / (time.perf_counter() - began)


@dataclass
class Figures:
    """One run."""

    workers: int
    pace: Pace
    jobs: int
    seconds: float
    submits: float
    latencies: dict[str, list[float]]
    commands: int
    busy_seconds: float

    @property
    def calls(self) -> int:
        return sum(map(len, self.latencies.values()))

    @property
    def busy_ms_a_job(self) -> float:
        return 1000 * self.busy_seconds / self.jobs

    def quantile(self, call: str, share: float) -> float:
        ordered = sorted(self.latencies[call])
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def row(self) -> str:
        latencies = [f"{self.quantile(call, 0.5):.1f} / {self.quantile(call, 0.99):.1f}" for call in CALLS]
        cells = [
            str(self.workers), str(self.pace), f"{self.jobs / self.seconds:.1f}", f"{self.calls / self.seconds:.0f}",
            f"{self.commands / self.seconds:.0f}", *latencies, f"{100 * self.busy_seconds / self.seconds:.0f} %",
            f"{self.busy_ms_a_job:.2f}",
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def measure(workers: int, jobs: int, pace: Pace) -> Figures:
    """Run some simulated workers over a queue of jobs, on a Valkey of its own."""
    from jobs.connect import connect
    from jobs.queries import Queries
    from jobs.states import Status

    context = multiprocessing.get_context("spawn")
    with valkey() as url, tempfile.TemporaryDirectory() as folder:
        submits = fill(url, jobs)
        redis = connect(url)
        count = min(PROCESSES, workers)
        ready, found = context.Barrier(count + 1), context.Queue()
        names = [f"tts-gpu0@host{number}" for number in range(workers)]
        hosts = [
            context.Process(target=host, args=(url, names[n::count], pace, folder, ready, found)) for n in range(count)
        ]
        for process in hosts:
            process.start()
        ready.wait()
        before, commands, began = redis.info("cpu"), redis.info("stats"), time.perf_counter()
        while Queries(redis).count(status=Status.SUCCEEDED) < jobs:
            assert any(process.is_alive() for process in hosts), "the simulated workers ended early"
            time.sleep(0.2)
        seconds = time.perf_counter() - began
        after, later = redis.info("cpu"), redis.info("stats")
        seen = [one for _ in hosts for one in found.get(timeout=120)]
        for process in hosts:
            process.join()
    busy = sum(after[name] - before[name] for name in ("used_cpu_user", "used_cpu_sys"))
    latencies = {call: [each for one in seen for each in one.latencies[call]] for call in CALLS}
    made = later["total_commands_processed"] - commands["total_commands_processed"]
    return Figures(workers, pace, sum(one.jobs for one in seen), seconds, submits, latencies, made, busy)


def runs(counts: list[int], cycles: int) -> Iterator[Figures]:
    """Both kinds of run for every number of workers."""
    for pace in (Pace(4, 10, 8.0), Pace(4, 10, 0.0)):
        for count in counts:
            jobs = count * pace.in_hand * cycles if pace.cycle_seconds else 20 * max(counts)
            figures = measure(count, jobs, pace)
            print(figures.row(), flush=True)
            yield figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", default="10,100", help="numbers of simulated workers; the first is the baseline")
    parser.add_argument("--cycles", type=int, default=4, help="sets of jobs of each paced worker, 8 s each")
    parser.add_argument("--save", action="store_true", help="write bench/RESULTS.md")
    chosen = parser.parse_args()
    counts = [int(count) for count in chosen.workers.split(",")]
    load = os.getloadavg()[0]
    found = list(runs(counts, chosen.cycles))
    paced, flat = found[: len(counts)], found[len(counts) :]
    head = ["workers", "made-up work", "jobs/s", "ledger calls/s", "Valkey commands/s, those of scripts too"]
    head += [f"{call} p50 / p99, ms" for call in CALLS] + ["Valkey, of a core", "Valkey, ms a job"]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(one.row() for one in found)]
    most, least = paced[-1], paced[0]
    text = "\n".join(lines) + (
        f"\n\nJobs of 10 sentences, 4 in hand at once. {most.workers} paced workers did "
        f"{most.jobs / most.seconds / (least.jobs / least.seconds):.1f} × the jobs of {least.workers}, at "
        f"{most.busy_ms_a_job / least.busy_ms_a_job:.2f} × the processor time of Valkey for each. Flat out, "
        f"{flat[-1].workers} did {flat[-1].jobs / flat[-1].seconds / (flat[0].jobs / flat[0].seconds):.2f} × the "
        f"jobs of {flat[0].workers}. Submits of one connection, with the message: "
        f"{', '.join(f'{one.submits:.0f}' for one in found)} a second. Load of the machine {load:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after.\n\nReckoned from it: a core of this Valkey that does nothing else carries "
        f"{1000 / flat[-1].busy_ms_a_job:.0f} such jobs ({10_000 / flat[-1].busy_ms_a_job:.0f} sentences) a second."
    )
    print(text)
    if chosen.save:
        save("Scaling: 100 simulated workers", "python -m bench.scaling", text)


if __name__ == "__main__":
    main()
