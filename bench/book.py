"""A long book through the real stack, beside the bare engine in the same run.

    python -m bench.book --characters 300000 --chapters 100 --save
    python -m bench.book --characters 30000 --chapters 20 --kill-every 20

The book is made of the demo domain's sentences. Shown are its throughput as a share of what the engine alone does with
such sentences, the peak memory of every process, and the delay of one-line interactive jobs before and meanwhile. With
`--kill-every` a TTS worker dies by SIGKILL at that pace. At the end every chapter must be complete, in its place and
heard as its own text; the exit status says whether that held.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.stack import Stack, StackError
from app.stack.environment import without_settings
from bench import results
from bench.book_checks import faults_of
from bench.processes import Peaks, apart

log = logging.getLogger("book")
ROOT = Path(__file__).resolve().parent.parent
SENTENCES = [s for s in (ROOT / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines() if s.strip()]
SENTENCES_OF_A_PARAGRAPH = 5
LOOK_SECONDS = 60
AIM = 0.9


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    characters: int
    chapters: int
    engine_sentences: int
    every: float
    kill_every: float
    format: str
    seed: int


@dataclass
class Measured:
    """What was seen. Delays in seconds; `engine` and `book` in sentences a second, `cpu` in seconds by process."""

    engine: float = 0.0
    engine_cpu: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    book: float = 0.0
    sentences: int = 0
    book_seconds: float = 0.0
    audio_seconds: float = 0.0
    idle: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    kills: int = 0
    peaks: dict[str, int] = field(default_factory=dict)
    engine_peak: int = 0
    load: tuple[float, float] = (0.0, 0.0)
    faults: list[str] = field(default_factory=list)


def write_book(plan: Plan) -> list[list[str]]:
    """Return the sentences of each chapter; their characters together are about those of the plan."""
    rng = random.Random(plan.seed)
    wanted = plan.characters / plan.chapters
    chapters = []
    for _ in range(plan.chapters):
        chapter: list[str] = []
        while sum(map(len, chapter)) < wanted:
            chapter += rng.sample(SENTENCES, SENTENCES_OF_A_PARAGRAPH)
        chapters.append(chapter)
    return chapters


def as_text(chapters: list[list[str]]) -> str:
    """Return the book as plain text."""
    parts = []
    for number, chapter in enumerate(chapters, 1):
        cut = range(0, len(chapter), SENTENCES_OF_A_PARAGRAPH)
        parts += [f"第{number}章", *("".join(chapter[i : i + SENTENCES_OF_A_PARAGRAPH]) for i in cut)]
    return "\n\n".join(parts)


def bare_engine(sentences: list[str], threads: int) -> dict[str, float]:
    """Process body: what the engine does alone with batches such as the scheduler's, sorted by length."""
    from speech.device import cap_threads
    from speech.text import FrontEnd
    from speech.tts import Line, Voice
    from workers.selection import Limits, choose

    cap_threads(threads)
    voice, front_end = Voice.load("demo"), FrontEnd()
    lines = [Line(one.symbols) for text in sentences for one in front_end.sentences(text, markup="none")]
    limits = Limits(max_cost=48_000, max_rows=64)
    voice.render(lines[:8])
    began, spent = time.perf_counter(), time.process_time()
    waiting = list(lines)
    while waiting:
        window = waiting[: 8 * limits.max_rows]
        picked = set(choose([voice.frames(line) for line in window], [5] * len(window), limits))
        voice.render([line for i, line in enumerate(window) if i in picked])
        waiting = [line for i, line in enumerate(window) if i not in picked] + waiting[len(window) :]
    wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {"sentences_per_second": len(lines) / wall, "cpu_seconds": cpu / len(lines)}


class Client:
    """Submits and waits as a patient client does."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=90)

    def get(self, path: str, **options) -> httpx.Response:
        answer = self._http.get(path, **options)
        answer.raise_for_status()
        return answer

    def submit(self, path: str, **options) -> str:
        answer = self._http.post(path, **options)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def finished(self, job_id: str) -> dict:
        while True:
            job = self.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()
            if job["status"] in {"succeeded", "failed", "canceled"}:
                return job

    def one_liner(self, rng: random.Random) -> float:
        """Have one line spoken at once; returns the seconds from submit to answer."""
        began = time.perf_counter()
        job = self.finished(self.submit("/v1/tts", json={"text": rng.choice(SENTENCES), "priority": "interactive"}))
        assert job["status"] == "succeeded", job["error"]
        return time.perf_counter() - began


class Repeated(threading.Thread):
    """Calls something every so many seconds until `over` is set; what it raises is kept."""

    def __init__(self, seconds: float, call, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._seconds, self._call, self._over = seconds, call, over
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                self._call()
            except BaseException as error:  # noqa: BLE001 - shown at the end
                self.error = error
                return


def run(plan: Plan, folder: Path, env: dict[str, str]) -> Measured:
    """Carry a plan out on a stack of its own."""
    from workers.slots import parse_slots, threads_per_slot

    measured = Measured(load=(os.getloadavg()[0], 0.0))
    chapters = write_book(plan)
    threads = threads_per_slot(parse_slots("tts,stt,cpu", device="cpu"), wanted=0)
    sample = [sentence for chapter in chapters for sentence in chapter][: plan.engine_sentences]
    alone, measured.engine_peak = apart(bare_engine, sample, threads)
    measured.engine, measured.engine_cpu = alone["sentences_per_second"], alone["cpu_seconds"]
    log.info("the engine alone: %.2f sentences/s, %d threads", measured.engine, threads)
    environment = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_TTS_VOICE": "demo", **env}
    with Stack(folder, env=environment, outer=without_settings(os.environ)) as stack:
        stack.wait_ready(180)
        client = Client(stack.url)
        rng = random.Random(plan.seed)
        client.one_liner(rng)
        measured.idle = [client.one_liner(rng) for _ in range(10)]
        job = speak(plan, stack, client, as_text(chapters), measured)
        measured.faults += faults_of(client, job, chapters)
    measured.load = (measured.load[0], os.getloadavg()[0])
    return measured


def speak(plan: Plan, stack: Stack, client: Client, text: str, measured: Measured) -> dict:
    """Have the book spoken, disturbed as the plan says, and look on."""
    over, peaks = threading.Event(), Peaks(stack.processes)
    peaks.look()
    began = time.perf_counter()
    options = {"title": "书", "format": plan.format, "subtitles": "json"}
    job_id = client.submit("/v1/audiobooks", files={"file": ("book.txt", text.encode())}, data=options)
    other = Client(stack.url)
    rng = random.Random(plan.seed + 1)

    def kill() -> None:
        try:
            stack.kill("worker_tts")
            measured.kills += 1
        except StackError:
            log.info("the worker is just being started again")

    def look() -> None:
        job = other.get(f"/v1/jobs/{job_id}").json()
        log.info("%s %s, children %s", job["status"], job["progress"], job["children"])

    watchers = [Repeated(1.0, peaks.look, over), Repeated(LOOK_SECONDS, look, over)]
    watchers.append(Repeated(plan.every, lambda: measured.meanwhile.append(other.one_liner(rng)), over))
    if plan.kill_every:
        watchers.append(Repeated(plan.kill_every, kill, over))
    job = client.finished(job_id)
    measured.book_seconds = time.perf_counter() - began
    over.set()
    for watcher in watchers:
        watcher.join(120)
        if watcher.error is not None:
            measured.faults.append(f"a watcher failed: {watcher.error!r}")
    peaks.look()
    measured.peaks, measured.cpu = peaks.bytes, peaks.cpu_seconds()
    if job["status"] == "succeeded":
        found = next(file for file in job["output"]["files"] if file["name"] == "manifest.json")
        manifest = client.get(found["url"]).json()
        measured.sentences, measured.audio_seconds = manifest["sentences"], manifest["seconds"]
        measured.book = measured.sentences / measured.book_seconds
    return job


def table(plan: Plan, measured: Measured) -> str:
    """Return what came out, in Markdown."""
    share = measured.book / measured.engine
    idle, meanwhile = statistics.median(measured.idle), statistics.median(measured.meanwhile or [float("nan")])
    worst = max(measured.meanwhile, default=float("nan"))
    rows = {
        "book": f"{plan.characters} characters, {plan.chapters} chapters, {measured.sentences} sentences, "
        f"{measured.audio_seconds / 3600:.2f} hours of sound, as {plan.format}",
        "the engine alone": f"{measured.engine:.2f} sentences/s",
        "the book, from submit to M4B": f"{measured.book:.2f} sentences/s in {measured.book_seconds:.0f} s",
        f"share of the engine alone (aim ≥ {AIM})": f"{share:.2f}",
        "one line, idle: median / max": f"{idle:.2f} s / {max(measured.idle):.2f} s",
        f"one line, meanwhile ({len(measured.meanwhile)}): median / max": f"{meanwhile:.2f} s / {worst:.2f} s "
        f"({meanwhile / idle:.1f}× / {worst / idle:.1f}× the idle median)",
        "SIGKILLs of the TTS worker": measured.kills,
        "chapters lost, incomplete, misplaced or heard as another": len(measured.faults),
        "peak memory of the engine alone": f"{measured.engine_peak / 2**20:.0f} MiB",
        **{f"peak memory, {name}": f"{peak / 2**20:.0f} MiB" for name, peak in sorted(measured.peaks.items())},
        **cpu_rows(measured),
        "load average before / after": "{:.1f} / {:.1f}".format(*measured.load),
    }
    return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def cpu_rows(measured: Measured) -> dict[str, str]:
    """Return the rows on processor time, which hold on a busy machine, too."""
    if not measured.sentences:
        return {}
    each = {name: seconds / measured.sentences for name, seconds in measured.cpu.items()}
    tts, rest = each.get("worker_tts", 0.0), sum(each.values()) - each.get("worker_tts", 0.0)
    own = measured.engine_cpu
    return {
        "CPU of a sentence: engine alone / TTS worker / all others": (
            f"{1000 * own:.0f} / {1000 * tts:.0f} / {1000 * rest:.0f} ms (1.00× / {tts / own:.2f}× / {rest / own:.2f}×)"
        )
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=300_000)
    parser.add_argument("--chapters", type=int, default=100)
    parser.add_argument("--engine-sentences", type=int, default=1500, help="sentences for the engine alone")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between interactive one-liners")
    parser.add_argument("--kill-every", type=float, default=0.0, help="seconds between SIGKILLs of the TTS worker")
    parser.add_argument("--format", default="m4a", help="of the chapters")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="a setting of the stack")
    parser.add_argument("--save", action="store_true", help="write the table to bench/RESULTS.md")
    options = vars(parser.parse_args())
    save, env = options.pop("save"), dict(one.split("=", 1) for one in options.pop("env"))
    logging.basicConfig(level="INFO", format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel("WARNING")
    plan = Plan(**options)
    with tempfile.TemporaryDirectory() as folder:
        measured = run(plan, Path(folder), env)
    text = table(plan, measured)
    print(text)
    for fault in measured.faults[:20]:
        print(f"fault: {fault}")
    if save:
        arguments = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in options.items())
        title = "A book while its worker is killed" if plan.kill_every else "A book"
        results.save(title, f"python -m bench.book {arguments}", text)
    sys.exit(1 if measured.faults else 0)


if __name__ == "__main__":
    main()
