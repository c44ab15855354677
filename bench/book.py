"""A long book through the real stack, beside the bare engine in the same run.

    python -m bench.book --characters 300000 --chapters 100 --save
    python -m bench.book --characters 30000 --chapters 20 --kill-every 20

The book is made of the demo domain's sentences. The engine alone renders sentences of the same book in a process of its
own with the worker's threads and allocator, sorted by length: before the book and after it, so that a machine that gets
slower or faster meanwhile does not count, and in batches of two sizes, of which the faster one is the baseline. It has
no front end, no ledger and no files, and encodes nothing.

Shown are the book's throughput as a share of that, in seconds of the clock and of the processor, the peak memory of
every process, and the delay of one-line interactive jobs before and meanwhile. What these cost is the worker's work,
too: the share is given for the sentences of the book alone, and with the one-liners that were spoken between them (each
counts as one sentence, though many had a batch of their own). With `--kill-every` a TTS worker dies by SIGKILL at that
pace. At the end every chapter must be complete, in its place and heard as its own text; the exit status says whether
that held.
"""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import math
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
from bench.book_checks import children_of, faults_of
from bench.processes import MALLOC, Peaks, apart

log = logging.getLogger("book")
ROOT = Path(__file__).resolve().parent.parent
SENTENCES = [s for s in (ROOT / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines() if s.strip()]
SENTENCES_OF_A_PARAGRAPH = 5
LOOK_SECONDS = 15
MOST_ROWS = 64
"""The larger batches of the engine alone: the default of VOXQUEUE_TTS_BATCH_ROWS."""
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
    minutes: float


@dataclass(frozen=True)
class Pass:
    """The engine alone over the sample: sentences a second, processor seconds a sentence, peak memory in bytes."""

    rows: int
    rate: float
    cpu: float
    peak: int


@dataclass
class Measured:
    """What was seen. Delays in seconds, `cpu` in seconds by process; `assembling` is the time after the chapters."""

    threads: int = 0
    before: Pass | None = None
    after: Pass | None = None
    cpu: dict[str, float] = field(default_factory=dict)
    sentences: int = 0
    book_seconds: float = 0.0
    assembling: float = 0.0
    audio_seconds: float = 0.0
    idle: list[float] = field(default_factory=list)
    meanwhile: list[float] = field(default_factory=list)
    kills: int = 0
    peaks: dict[str, int] = field(default_factory=dict)
    early_peaks: dict[str, int] = field(default_factory=dict)
    """When a quarter of the chapters was done: if memory grew with the book, there would be much less by then."""
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


def bare_engine(sentences: list[str], threads: int, rows: int, env: dict[str, str]) -> tuple[float, float]:
    """Process body: render sentences in batches of like length; returns wall and processor seconds of a sentence."""
    from speech.device import cap_threads
    from speech.text import FrontEnd
    from speech.tts import Line, Voice

    cap_threads(threads)
    precision = env.get("VOXQUEUE_TTS_PRECISION", "float32")
    voice, front_end = Voice.load(env.get("VOXQUEUE_TTS_VOICE", "demo"), precision=precision), FrontEnd()
    lines = [Line(one.symbols) for text in sentences for one in front_end.sentences(text, markup="none")]
    voice.render(lines[:rows])
    lines.sort(key=voice.frames)
    began, spent = time.perf_counter(), time.process_time()
    for at in range(0, len(lines), rows):
        voice.render(lines[at : at + rows])
    return (time.perf_counter() - began) / len(lines), (time.process_time() - spent) / len(lines)


def engine_alone(sample: list[str], threads: int, rows: list[int], env: dict[str, str]) -> Pass:
    """Return the fastest pass of the engine alone over the sample, by the rows of its batches."""
    found = []
    for each in rows:
        (wall, cpu), peak = apart(bare_engine, sample, threads, each, env, env=MALLOC)
        found.append(Pass(each, 1 / wall, cpu, peak))
        log.info("the engine alone, batches of %d: %.2f sentences/s, %.0f ms of CPU each", each, 1 / wall, 1000 * cpu)
    return max(found, key=lambda one: one.rate)


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
    from workers.voices import CPU_ROWS

    measured = Measured(load=(os.getloadavg()[0], 0.0))
    chapters = write_book(plan)
    slots = parse_slots(env.get("VOXQUEUE_SLOTS", "tts,stt,cpu"), device="cpu")
    measured.threads = threads_per_slot(slots, wanted=int(env.get("VOXQUEUE_CPU_THREADS", "0")))
    rng = random.Random(plan.seed)
    sentences = [sentence for chapter in chapters for sentence in chapter]
    sample = rng.sample(sentences, min(plan.engine_sentences, len(sentences)))
    sizes = sorted({CPU_ROWS * measured.threads, MOST_ROWS})
    measured.before = engine_alone(sample, measured.threads, sizes, env)
    environment = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_TTS_VOICE": "demo", **env}
    with Stack(folder, env=environment, outer=without_settings(os.environ)) as stack:
        stack.wait_ready(180)
        client = Client(stack.url)
        client.one_liner(rng)
        measured.idle = [client.one_liner(rng) for _ in range(10)]
        job = speak(plan, stack, client, as_text(chapters), measured)
        measured.faults += faults_of(client, job, chapters)
    measured.after = engine_alone(sample, measured.threads, [measured.before.rows], env)
    measured.load = (measured.load[0], os.getloadavg()[0])
    return measured


def speak(plan: Plan, stack: Stack, client: Client, text: str, measured: Measured) -> dict:
    """Have the book spoken, disturbed as the plan says, and look on."""
    over, peaks = threading.Event(), Peaks(stack.processes)
    peaks.look()
    began = time.perf_counter()
    options = {"title": "书", "format": plan.format, "subtitles": "json", "timeout_seconds": str(60 * plan.minutes)}
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
        if not measured.early_peaks and job["children"]["succeeded"] >= plan.chapters / 4:
            measured.early_peaks = dict(peaks.bytes)

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
        last = max(ended(child) for child in children_of(client, job_id))
        measured.assembling = (ended(job) - last).total_seconds()
    return job


def ended(job: dict) -> dt.datetime:
    """Return when a job ended."""
    return dt.datetime.fromisoformat(job["finished_at"])


def table(plan: Plan, measured: Measured) -> str:
    """Return what came out, in Markdown."""
    before, after = measured.before, measured.after
    assert before is not None
    assert after is not None
    engine = statistics.mean([before.rate, after.rate])
    liners, seconds = len(measured.meanwhile), measured.book_seconds
    book, both = measured.sentences / seconds, (measured.sentences + liners) / seconds
    idle, meanwhile = statistics.median(measured.idle), statistics.median(measured.meanwhile or [float("nan")])
    slow, worst = (
        sorted(measured.meanwhile)[math.ceil(share * liners) - 1] if liners else float("nan") for share in (0.95, 1)
    )
    rows = {
        "book": f"{plan.characters} characters, {plan.chapters} chapters, {measured.sentences} sentences, "
        f"{measured.audio_seconds / 3600:.2f} hours of sound, as {plan.format}",
        f"the engine alone, {measured.threads} threads, batches of {before.rows}: before / after": (
            f"{before.rate:.2f} / {after.rate:.2f} sentences/s"
        ),
        "the book, from submit to M4B": f"{book:.2f} sentences/s in {seconds:.0f} s",
        "of it behind the last chapter's end, for the M4B": f"{measured.assembling:.1f} s",
        "share of the engine alone, the book's sentences": f"{book / engine:.2f}",
        f"share of the engine alone, with the {liners} one-liners (aim ≥ {AIM})": f"{both / engine:.2f}",
        **cpu_rows(measured, statistics.mean([before.cpu, after.cpu])),
        "one line, idle: median / max": f"{idle:.2f} s / {max(measured.idle):.2f} s",
        f"one line, meanwhile ({liners}): median / 95 % / max": (
            f"{meanwhile:.2f} s / {slow:.2f} s / {worst:.2f} s ({meanwhile / idle:.1f}× / {slow / idle:.1f}× / "
            f"{worst / idle:.1f}× the idle median)"
        ),
        "SIGKILLs of the TTS worker": measured.kills,
        "chapters lost, incomplete, misplaced or heard as another": len(measured.faults),
        "peak memory of the engine alone": mebibytes(max(before.peak, after.peak)),
        **{
            f"peak memory, {name}: after a quarter of the chapters / in all": (
                f"{mebibytes(measured.early_peaks.get(name, 0))} / {mebibytes(peak)}"
            )
            for name, peak in sorted(measured.peaks.items())
        },
        "load average before / after": "{:.1f} / {:.1f}".format(*measured.load),
    }
    return "\n".join(["| what | figure |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def mebibytes(count: int) -> str:
    """Return bytes as people read them."""
    return f"{count / 2**20:.0f} MiB"


def cpu_rows(measured: Measured, alone: float) -> dict[str, str]:
    """Return the rows on processor time, which hold on a busy machine, too; `alone` is the engine's for a sentence.

    The one-liners are sentences that the processes have spoken as well.
    """
    spoken = max(1, measured.sentences + len(measured.meanwhile))
    tts = measured.cpu.get("worker_tts", 0.0) / spoken
    rest = sum(measured.cpu.values()) / spoken - tts
    return {
        "CPU of a sentence: engine alone / TTS worker / all others": (
            f"{1000 * alone:.0f} / {1000 * tts:.0f} / {1000 * rest:.0f} ms "
            f"(1.00× / {tts / alone:.2f}× / {rest / alone:.2f}×)"
        )
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--characters", type=int, default=300_000)
    parser.add_argument("--chapters", type=int, default=100)
    parser.add_argument("--engine-sentences", type=int, default=300, help="sentences for each pass of the engine alone")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between interactive one-liners")
    parser.add_argument("--kill-every", type=float, default=0.0, help="seconds between SIGKILLs of the TTS worker")
    parser.add_argument("--format", default="m4a", help="of the chapters")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=90, help="deadline of the book")
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
