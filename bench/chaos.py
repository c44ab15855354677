"""Drives a real stack over HTTP while killing its processes at random, then looks whether every job came out right.

    python -m bench.chaos --jobs 1000 --kills 100 --web 5 --valkey 5 --stops 5 --seed 1 --save

Every accepted job must be terminal and right (each audio is heard as its own text, each transcript is its own),
nothing may be there twice, and nothing may be left behind. The exit status says whether that held.
"""

import argparse
import json
import logging
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.stack import Stack, StackError
from bench.chaos_checks import Findings, examine
from jobs.connect import connect

log = logging.getLogger("chaos")
ROOT = Path(__file__).resolve().parent.parent
SENTENCES = [s for s in (ROOT / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines() if s.strip()]
SAMPLES = {
    "demo_F7_happy.wav": None,  # what they say is asked of the recogniser, undisturbed, before the chaos begins
    "demo_M7_neutral.wav": None,
}
PATIENCE = 900
ORPHAN_SECONDS = 60
"""Longer than any upload here, and short enough to see that what a killed web process left is removed."""
WORKERS = ("worker_tts", "worker_stt", "worker_cpu")


@dataclass
class Plan:
    """What is to happen."""

    jobs: int
    kills: int
    web: int
    valkey: int
    stops: int
    seed: int
    pause: tuple[float, float] = (1.0, 4.0)
    stop_seconds: float = 20.0


@dataclass
class Disturbance:
    """What has happened: times (monotonic) and names."""

    done: list[tuple[float, str, str]] = field(default_factory=list)
    recoveries: list[tuple[float, float, str]] = field(default_factory=list)
    """Of each death with jobs in hand: when, seconds until they were in hand again or done, and whose."""

    def after_a_lone_death(self):
        """Recoveries of workers that nothing else hit meanwhile, Valkey neither."""
        return [
            seconds
            for since, seconds, victim in self.recoveries
            if not any(since < when < since + seconds and who in {victim, "valkey"} for when, _, who in self.done)
        ]


class Client:
    """Submits and polls as a patient client does: repeats what was not answered, with the same idempotency key."""

    def __init__(self, url):
        self._http = httpx.Client(base_url=url, timeout=30)

    def call(self, method, path, **options):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._http.request(method, path, **options)
                if answer.status_code not in {429, 502, 503}:
                    return answer
                why = answer.status_code
            except httpx.HTTPError as error:
                why = error
            assert time.monotonic() < end, f"{method} {path}: no answer in {PATIENCE} s: {why}"
            time.sleep(0.3)

    def submit(self, path, key, **options):
        answer = self.call("POST", path, headers={"Idempotency-Key": key}, **options)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()["id"]

    def finished(self, job_id):
        while True:
            job = self.call("GET", f"/v1/jobs/{job_id}", params={"wait": 10}).json()
            if job["status"] in {"succeeded", "failed", "canceled"}:
                return job


def submit_all(client, plan, rng):
    """Submit the jobs in random order and kinds; returns {job ID: what its result must say}."""
    expected = {}
    recordings = {name: (ROOT / "models/demo/samples" / name).read_bytes() for name in SAMPLES}
    left, number = plan.jobs, 0
    while left > 0:
        number += 1
        kind = rng.choices(["tts", "long", "stt", "batch"], [6, 2, 3, 0.4])[0]
        key = f"chaos-{plan.seed}-{number}"
        match kind:
            case "tts":
                text = rng.choice(SENTENCES)
                expected[client.submit("/v1/tts", key, json={"text": text})] = ("tts", text)
                left -= 1
            case "long":
                text = "".join(rng.sample(SENTENCES, 5))
                options = {"text": text, "priority": rng.choice(["bulk", "normal"])}
                expected[client.submit("/v1/tts", key, json=options)] = ("tts", text)
                left -= 1
            case "stt":
                name = rng.choice(list(recordings))
                files = {"file": (name, recordings[name])}
                job_id = client.submit("/v1/stt", key, files=files, data={"language": "zh"})
                expected[job_id] = ("stt", name)
                left -= 1
            case "batch":
                texts = rng.sample(SENTENCES, min(10, max(1, left)))
                lines = "\n".join(json.dumps({"custom_id": str(i), "tts": {"text": t}}) for i, t in enumerate(texts))
                job_id = client.submit("/v1/batches", key, files={"file": ("batch.jsonl", lines.encode())})
                expected[job_id] = ("batch", texts)
                left -= len(texts)
    return expected


class Chaos(threading.Thread):
    """Disturbs the stack until its plan is done or nothing is left to disturb."""

    def __init__(self, stack, plan, rng):
        super().__init__(name="chaos", daemon=True)
        self.stack, self.plan, self.rng = stack, plan, rng
        self.happened = Disturbance()
        self.over = threading.Event()
        kinds = ["kill"] * plan.kills + ["web"] * plan.web + ["valkey"] * plan.valkey + ["stop"] * plan.stops
        rng.shuffle(kinds)
        self.todo = kinds
        self.watchers = []
        self.asleep = set()

    def run(self):
        for kind in self.todo:
            if self.over.wait(self.rng.uniform(*self.plan.pause)):
                return
            try:
                self.disturb(kind)
            except StackError as error:  # the victim is just being started again
                log.info("%s: %s", kind, str(error).splitlines()[0])
        for watcher in self.watchers:
            watcher.join(120)

    def disturb(self, kind):
        awake = [worker for worker in WORKERS[:2] * 3 + WORKERS[2:] if worker not in self.asleep]
        victim = self.rng.choice(awake) if kind in {"kill", "stop"} else kind
        held = held_by(self.stack.redis_url, victim)
        if kind == "stop":
            pid = self.stack.kill(victim, signal.SIGSTOP)
            log.info("stopped %s (%d) for %.0f s", victim, pid, self.plan.stop_seconds)
            self.asleep.add(victim)  # spared meanwhile, so that it wakes up and does its worst
            threading.Timer(self.plan.stop_seconds, self.wake, [victim, pid]).start()
        else:
            pid = self.stack.kill(victim, signal.SIGKILL)
            log.info("killed %s (%d) with %d jobs in hand", victim, pid, len(held))
        self.happened.done.append((time.monotonic(), kind, victim))
        if kind == "kill" and held:
            watcher = threading.Thread(target=self.watch_recovery, args=(held, time.monotonic(), victim), daemon=True)
            watcher.start()
            self.watchers.append(watcher)

    def wake(self, victim, pid):
        self.asleep.discard(victim)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            log.info("%d was replaced while it slept", pid)

    def watch_recovery(self, held, since, victim):
        """Note how long it takes until each job of the dead process is in hand again, or done."""
        redis = connect(self.stack.redis_url)
        while held and time.monotonic() - since < 120:
            time.sleep(0.1)
            try:
                held = {job_id: attempt for job_id, attempt in held.items() if is_waiting(redis, job_id, attempt)}
            except Exception:  # noqa: BLE001 - Valkey may be the next victim
                continue
        self.happened.recoveries.append((since, time.monotonic() - since, victim))


def is_waiting(redis, job_id, attempt):
    """Whether a job of a dead process was neither claimed again nor ended."""
    status, current = redis.hmget(f"vq:job:{job_id}", "status", "attempt")
    return status in {"queued", "running"} and current == attempt


def held_by(redis_url, victim):
    """Return {job ID: attempt} of the jobs that a worker has in hand."""
    kind = victim.removeprefix("worker_")
    try:
        redis = connect(redis_url, retries=0)
        ids = redis.zrange("vq:leases", 0, -1)
        facts = [redis.hmget(f"vq:job:{job_id}", "worker", "attempt", "status") for job_id in ids]
    except Exception:  # noqa: BLE001 - Valkey is away
        return {}
    return {
        job_id: attempt
        for job_id, (worker, attempt, status) in zip(ids, facts, strict=True)
        if (worker or "").startswith(kind) and status == "running"
    }


def run(plan, *, env=None, data_dir=None):
    """Carry out a plan on a stack of its own; returns (findings, disturbance, seconds)."""
    rng = random.Random(plan.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(data_dir or scratch)
        with Stack(
            folder, env={"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_ORPHAN_SECONDS": str(ORPHAN_SECONDS), **(env or {})}
        ) as stack:
            stack.wait_ready(180)
            started = time.monotonic()
            chaos = Chaos(stack, plan, rng)
            chaos.start()
            client = Client(stack.url)
            expected = submit_all(client, plan, random.Random(plan.seed + 1))
            last_upload = time.monotonic()
            jobs = {job_id: client.finished(job_id) for job_id in expected}
            finished = time.monotonic()
            chaos.over.set()
            chaos.join(180)
            for _, kind, _victim in chaos.happened.done[-1:]:
                if kind == "stop":
                    time.sleep(plan.stop_seconds)  # the sleeper must be awake to do its worst
            stack.wait_ready(180)
            time.sleep(max(0, last_upload + 1.2 * ORPHAN_SECONDS + 5 - time.monotonic()))
            findings = examine(stack, client, expected, jobs, folder)
        return findings, chaos.happened, finished - started


def spread(seconds):
    return f"{statistics.median(seconds):.1f} s / {max(seconds):.1f} s ({len(seconds)})" if seconds else "none"


def table(findings: Findings, happened: Disturbance, seconds: float, plan: Plan) -> str:
    """Return what came out, in Markdown."""
    kinds = [kind for _, kind, _ in happened.done]
    recoveries, lone = [seconds for _, seconds, _ in happened.recoveries], happened.after_a_lone_death()
    rows = {
        "jobs accepted": findings.jobs,
        "SIGKILLs of workers / web / Valkey, SIGSTOPs": "{} / {} / {}, {}".format(
            *(kinds.count(kind) for kind in ("kill", "web", "valkey", "stop"))
        ),
        "lost (not terminal, or failed without a reason of its own)": len(findings.lost),
        "doubled (a result twice)": len(findings.doubled),
        "mixed (heard as another's text)": len(findings.mixed),
        "misheard, but sounding as when made anew undisturbed": findings.misheard,
        "character error rate over all": f"{findings.error_rate:.2%}",
        "files without a record": len(findings.orphans),
        "keys left behind": len(findings.leaked),
        "recovery after a worker's death, median / max": spread(recoveries),
        "of these, where nothing else hit the worker or Valkey meanwhile": spread(lone),
        "attempts beyond the first": findings.extra_attempts,
        "seconds in all": f"{seconds:.0f}",
        "seed": plan.seed,
    }
    return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("jobs", 1000), ("kills", 100), ("web", 5), ("valkey", 5), ("stops", 5), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 4.0), help="seconds between two of these")
    parser.add_argument("--save", action="store_true", help="write the table to bench/RESULTS.md")
    options = vars(parser.parse_args())
    save = options.pop("save")
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel("WARNING")
    plan = Plan(**options)
    findings, happened, seconds = run(plan)
    text = table(findings, happened, seconds, plan)
    print(text)
    for name in ("lost", "doubled", "mixed", "orphans", "leaked"):
        for detail in getattr(findings, name)[:10]:
            print(f"{name}: {detail}")
    if save:
        from bench.results import save as save_results

        save_results("Chaos", f"python -m bench.chaos {' '.join(sys.argv[1:])}", text)
    sys.exit(0 if findings.clean else 1)


if __name__ == "__main__":
    main()
