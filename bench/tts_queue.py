"""TTS through the whole queue against the engine alone: as many jobs as sentences, all submitted at once.

    python -m bench.tts_queue [--voice DIR] [--jobs 64] [--rounds 3] [--threads 2] [--save]

The engine alone renders the ready symbol lines of all sentences in one call, in a process of its own with the worker's
settings: no front end, no files, no ledger. The queue is the whole stack (web, Valkey, a TTS worker and the others that
idle), from the first submit to the last result. They take turns, so that a busy machine is unfair to neither. Without
`--voice` a checkpoint of the real size with random weights is made; `--voice demo` takes the bundled one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

import httpx

from bench import results

STORY = Path(__file__).resolve().parents[1] / "models" / "demo" / "domain-sentences.txt"
ENDED = {"succeeded", "failed", "canceled"}
# As the Procfile starts a worker.
MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
}


@dataclass
class Turns:
    """Wall and processor seconds of each turn."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def add(self, wall: float, cpu: float) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)


def texts_of(count: int, rng: random.Random) -> list[str]:
    """Sentences of 5 to 60 syllables, made of the demo voice's words."""
    words = [one.rstrip("。？！") for one in STORY.read_text("utf-8").split()]
    texts = []
    for _ in range(count):
        wanted, text = rng.randint(5, 60), ""
        while len(text) < wanted:
            text += ("，" if text else "") + rng.choice(words)
        texts.append(text[:wanted].rstrip("，") + "。")
    return texts


# --- the engine alone


def engine_alone(connection, voice, texts, threads):
    """Process body: for each message received, render all sentences and send wall and processor seconds."""
    from speech.device import cap_threads
    from speech.text import FrontEnd
    from speech.tts import Voice

    cap_threads(threads)
    lines = [one.symbols for text in texts for one in FrontEnd().plain(text)]
    loaded = Voice.load(voice)
    loaded.render(lines[:2])
    connection.send(len(lines))
    while connection.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        rate, samples = loaded.sample_rate, sum(len(one.audio) for one in loaded.render(lines))
        connection.send((time.perf_counter() - wall, time.process_time() - cpu, samples / rate))


class Engine:
    """The engine in a process of its own."""

    def __init__(self, voice: str, texts: list[str], threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        os.environ.update(MALLOC)
        self._child = context.Process(target=engine_alone, args=(theirs, voice, texts, threads))
        self._child.start()
        for name in MALLOC:
            del os.environ[name]
        self.lines = self._pipe.recv()
        self.turns = Turns()
        self.audio = 0.0

    def turn(self) -> None:
        self._pipe.send(True)
        wall, cpu, self.audio = self._pipe.recv()
        self.turns.add(wall, cpu)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._pipe.send(False)
        self._child.join()


# --- the queue


class Queue:
    """The whole stack; each text is a job of its own."""

    def __init__(self, voice: str, texts: list[str], threads: int, data: Path) -> None:
        from app.stack import Stack

        self.texts = texts
        self.turns = Turns()
        settings = {
            "VOXQUEUE_TTS_VOICE": voice,
            "VOXQUEUE_CPU_THREADS": str(threads),
            "VOXQUEUE_SLOTS": "tts,stt,cpu",
            "VOXQUEUE_DEVICE": "cpu",
            "VOXQUEUE_LOG_LEVEL": "WARNING",
        }
        self.stack = Stack(data, env=settings)

    def __enter__(self) -> Self:
        self.stack.start()
        self.stack.wait_ready(300)
        self.client = httpx.Client(base_url=self.stack.url, timeout=120)
        self.turn()  # warms up what the first jobs of a process warm up
        self.turns = Turns()
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()
        self.stack.stop()

    def turn(self) -> None:
        from bench.stt_measures import processor_seconds_of

        cpu = processor_seconds_of(os.getpid()) - time.process_time()
        began = time.time()
        with ThreadPoolExecutor(8) as pool:
            places = list(pool.map(self._submit, self.texts))
        jobs = [self._wait(place) for place in places]
        cpu = processor_seconds_of(os.getpid()) - time.process_time() - cpu
        last = max(datetime.fromisoformat(job["finished_at"]).timestamp() for job in jobs)
        self.turns.add(last - began, cpu)

    def batches(self) -> str:
        worker = next(one for one in self.client.get("/v1/workers").json()["data"] if one["kind"] == "tts")
        return f"{worker['mean_batch_rows']:.1f} rows a batch, {worker['padding_ratio']:.0%} padding"

    def _submit(self, text: str) -> str:
        return self.client.post("/v1/tts", json={"text": text}).raise_for_status().headers["Location"]

    def _wait(self, place: str) -> dict:
        while True:
            job = self.client.get(place, params={"wait": 60}).raise_for_status().json()
            if job["status"] in ENDED:
                assert job["status"] == "succeeded", job
                return job


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", help="demo or a folder; left out: one of the real size is made")
    parser.add_argument("--jobs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--save", action="store_true", help="put the table into bench/RESULTS.md")
    wanted = parser.parse_args()
    texts = texts_of(wanted.jobs, random.Random(5))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        voice = wanted.voice
        if voice is None:
            from bench import true_size

            voice = str(true_size.pace(true_size.write_voice(Path(folder) / "voice")))
        engine = stack.enter_context(Engine(voice, texts, wanted.threads))
        queue = stack.enter_context(Queue(voice, texts, wanted.threads, Path(folder) / "data"))
        for number in range(wanted.rounds):
            queue.turn()
            engine.turn()
            sys.stderr.write(f"round {number + 1}: {queue.turns.wall[-1]:.1f} s, {engine.turns.wall[-1]:.1f} s\n")
        text = report(engine, queue, wanted)
    sys.stdout.write(text + "\n")
    if wanted.save:
        voice = f" --voice {wanted.voice}" if wanted.voice else ""
        command = f"python -m bench.tts_queue{voice} --jobs {wanted.jobs} --rounds {wanted.rounds}"
        title = f"TTS through the whole queue{' (demo voice)' if wanted.voice else ''}"
        results.save(title, f"{command} --threads {wanted.threads}", text)


def report(engine: Engine, queue: Queue, wanted: argparse.Namespace) -> str:
    def line(name: str, turns: Turns) -> str:
        wall, cpu = statistics.median(turns.wall), statistics.median(turns.cpu)
        of_wall = statistics.median(engine.turns.wall) / wall
        of_cpu = statistics.median(engine.turns.cpu) / cpu
        spread = f"{min(turns.wall):.1f} to {max(turns.wall):.1f}"
        return (
            f"| {name} | {wall:.2f} ({spread}) | {cpu:.2f} | {engine.audio / wall:.1f} | {of_wall:.2f} | {of_cpu:.2f} |"
        )

    heads = (
        "| path | wall s, median (range) | CPU s, median | s of audio a second | throughput, of the engine's | CPU |"
    )
    return "\n".join(
        [
            (
                f"{len(queue.texts)} jobs of one sentence each, {engine.lines} lines, {engine.audio:.1f} s of audio, "
                f"{wanted.threads} threads, {wanted.rounds} rounds in turns; load average {os.getloadavg()[0]:.1f} "
                f"at the end. The queue: {queue.batches()}.\n"
            ),
            heads,
            "| --- |" + " --- |" * 5,
            line("the engine alone, one call", engine.turns),
            line("the whole queue", queue.turns),
        ]
    )


if __name__ == "__main__":
    main()
