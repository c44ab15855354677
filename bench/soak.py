"""Runs a real stack under steady, mixed load and watches whether memory, file handles and Redis keys stay flat.

    python -m bench.soak --minutes 30 --rate 1.0 --save

Jobs and files live for a minute only, so that after a while as much goes as comes. Speech of one and of several
sentences, transcripts, batches, audiobooks, cancelled jobs and clients that hang up in the middle of an event stream
are mixed at random. The first third warms up; the figure is the median of the last third over that of the middle third.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from app.stack import Stack
from jobs.connect import connect

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = [s for s in (ROOT / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines() if s.strip()]
RECORDING = (ROOT / "models/demo/samples/demo_M7_neutral.wav").read_bytes()
TTL_SECONDS = 60
SAMPLE_SECONDS = 10
FLAT = 1.02
"""Growth from the middle to the last third that is still called flat."""
SMALL = {"resident MB": 4, "file handles": 8, "keys": 60, "memory MB": 4, "files": 120}
"""Growth up to this is flat, however large its ratio: what chance does to the medians of so many jobs at once."""
WEIGHTS = {"speech": 8, "passage": 3, "transcript": 4, "batch": 1, "book": 0.5, "cancelled": 1, "hang-up": 1}


class Load:
    """Submits a random job now and then, waits for each, and counts what became of it."""

    def __init__(self, url, rate, rng):
        self.http = httpx.Client(base_url=url, timeout=120, limits=httpx.Limits(max_connections=64))
        self.rate, self.rng = rate, rng
        self.outcomes = Counter()

    def run(self, until):
        kinds = list(WEIGHTS)
        with ThreadPoolExecutor(32) as pool:
            while time.monotonic() < until:
                kind = self.rng.choices(kinds, WEIGHTS.values())[0]
                pool.submit(self.one, kind, random.Random(self.rng.random()))
                time.sleep(self.rng.expovariate(self.rate))

    def one(self, kind, rng):
        try:
            job = self.submit(kind, rng)
            if kind == "cancelled":
                self.http.post(f"/v1/jobs/{job['id']}/cancel")
            if kind == "hang-up":
                with self.http.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
                    next(events.iter_lines())
            while job["status"] in {"queued", "running"}:
                job = self.http.get(f"/v1/jobs/{job['id']}", params={"wait": 20}).raise_for_status().json()
            for file in (job.get("output") or {}).get("files", ())[:1]:
                self.http.get(file["url"]).raise_for_status()
            self.outcomes[kind, job["status"]] += 1
        except Exception as error:  # noqa: BLE001 - counted and shown
            self.outcomes[kind, repr(error)[:80]] += 1

    def submit(self, kind, rng):
        match kind:
            case "transcript":
                answer = self.http.post("/v1/stt", files={"file": ("a.wav", RECORDING)}, data={"language": "zh"})
            case "batch":
                lines = (json.dumps({"custom_id": str(n), "tts": {"text": rng.choice(SENTENCES)}}) for n in range(5))
                answer = self.http.post("/v1/batches", files={"file": ("b.jsonl", "\n".join(lines).encode())})
            case "book":
                text = "\n\n".join(f"第{n}章\n\n" + "".join(rng.sample(SENTENCES, 3)) for n in "一二")
                answer = self.http.post("/v1/audiobooks", files={"file": ("book.txt", text.encode())})
            case _:
                text = "".join(rng.sample(SENTENCES, 6 if kind in {"passage", "cancelled"} else 1))
                answer = self.http.post("/v1/tts", json={"text": text})
        return answer.raise_for_status().json()


def family(pid):
    """Yield a process and all that it has started: gunicorn answers from children."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def resident_mb(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(resident.split()[1]) / 1024


def sample(stack, redis):
    """Return {(what, figure): value} of this moment."""
    found = {}
    for name, pid in stack.processes().items():
        with contextlib.suppress(OSError):  # a process that has just ended
            pids = list(family(pid))
            found[name, "resident MB"] = sum(map(resident_mb, pids))
            found[name, "file handles"] = sum(1 for one in pids for _ in Path(f"/proc/{one}/fd").iterdir())
    found["Valkey", "keys"] = redis.dbsize()
    found["Valkey", "memory MB"] = redis.info("memory")["used_memory"] / 1024**2
    blobs = stack.data_dir / "jobs"
    found["store", "files"] = sum(len(files) for _, _, files in os.walk(blobs))
    return found


def watch(stack, until):
    """Sample until the end; returns the list of samples."""
    redis = connect(stack.redis_url)
    samples = []
    while time.monotonic() < until:
        samples.append(sample(stack, redis))
        time.sleep(SAMPLE_SECONDS)
    return samples


def table(samples):
    """Return (Markdown of medians over time, names of what grew)."""
    parts = 6
    keys = sorted(set().union(*samples))
    edges = [len(samples) * part // parts for part in range(parts + 1)]
    rows, grown = [], []
    for what, figure in keys:
        series = [
            [one[what, figure] for one in samples[a:b] if (what, figure) in one] for a, b in itertools.pairwise(edges)
        ]
        medians = [statistics.median(part) if part else float("nan") for part in series]
        middle, last = (statistics.median(series[i] + series[i + 1]) for i in (2, 4))
        flat = last <= FLAT * middle or last - middle <= SMALL[figure]
        if not flat:
            grown.append(f"{what}: {figure}")
        cells = " | ".join(f"{value:.0f}" for value in medians)
        rows.append(
            f"| {what} | {figure} | {cells} | {last / middle if middle else 1:.2f}× | {'yes' if flat else 'NO'} |"
        )
    head = " | ".join(f"{part + 1}/{parts}" for part in range(parts))
    return "\n".join(
        [f"| of | figure | {head} | last third / middle third | flat |", "| --- " * (parts + 4) + "|", *rows]
    ), grown


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=1.0, help="jobs a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="write the table to bench/RESULTS.md")
    options = parser.parse_args()
    env = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_TTL_SECONDS": str(TTL_SECONDS), "VOXQUEUE_ORPHAN_SECONDS": "120"}
    with tempfile.TemporaryDirectory() as folder, Stack(folder, env=env) as stack:
        stack.wait_ready(300)
        before = stack.processes()
        until = time.monotonic() + 60 * options.minutes
        load = Load(stack.url, options.rate, random.Random(options.seed))
        driver = threading.Thread(target=load.run, args=(until,))
        driver.start()
        samples = watch(stack, until)
        driver.join()
        replaced = [name for name, pid in stack.processes().items() if before.get(name) != pid]
    text, grown = table(samples)
    outcomes = ", ".join(f"{kind} {what}: {count}" for (kind, what), count in sorted(load.outcomes.items()))
    text += f"\n\n{sum(load.outcomes.values())} jobs ({outcomes}). Processes replaced: {', '.join(replaced) or 'none'}."
    print(text)
    if options.save:
        from bench.results import save

        save("Soak", f"python -m bench.soak {' '.join(sys.argv[1:])}", text)
    odd = [key for key in load.outcomes if key[1] not in {"succeeded", "canceled"}]
    sys.exit(bool(grown or replaced or odd))


if __name__ == "__main__":
    main()
