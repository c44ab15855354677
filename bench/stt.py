"""Whisper through our batches against faster-whisper alone: short clips as jobs of their own, one long file, words.

Speed is measured on a Whisper of random weights and full size, words on the bundled demo model. All contenders hear the
same files in the same run with the same beam and one temperature, in turns (so that a busy machine is unfair to none),
and with the memory allocator as the Procfile sets it for a worker.

    python -m bench.stt                          # everything; on two quiet cores about an hour
    python -m bench.stt --only clips --clips 8   # a look
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from app.stack import procfile
from bench import random_whisper, stt_hours
from bench.hearing import character_error_rate
from bench.results import save
from bench.stt_contenders import Library, Ours, Queue
from bench.stt_material import DEMO, Clip, joined, repeated, speak
from bench.stt_measures import in_turns, rates, table, verdict
from speech.stt import DecodeOptions

ROOT = Path(__file__).parents[1]
PARTS = ("clips", "rows", "long", "words", "hours")
SHORT_TOKENS, LONG_TOKENS = 40, 120
"""Tokens that the random model writes for a window: about what Mandarin needs for 8 s and for 25 s."""
AIM_CLIPS, AIM_LONG = 0.9, 0.95
FIXED = DecodeOptions(language="zh", temperature=0.0)
MOST_DIFFERENCES = 12
ONE_BY_ONE, BATCHED = "`WhisperModel.transcribe`, one by one", "`BatchedInferencePipeline`"
SHARED, QUEUED = "ours, jobs share batches", "ours, through the whole queue"


class Contenders:
    """All of them on one random model that writes so many tokens for each window."""

    def __init__(self, folder: Path, tokens: int, options: argparse.Namespace) -> None:
        self.rows, threads = options.rows, options.threads
        model = random_whisper.make(folder / "model", random_whisper.SMALL, tokens_written=tokens, quantization="int8")
        self.library, self.ours = Library(model, threads), Ours(model, threads)
        self.queue = Queue(model, folder / "stack", threads, VOXQUEUE_STT_BATCH_ROWS=str(self.rows))

    def batched(self, paths: list[Path]) -> list[str]:
        return self.library.batched(paths, rows=self.rows)

    def shared(self, paths: list[Path]) -> list[str]:
        return self.ours.jobs(paths, rows=self.rows)

    def __enter__(self) -> Self:
        self.queue.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.queue.__exit__(*exc)


def short_clips(clips: list[Clip], they: Contenders, group: int) -> Iterator[str]:
    rounds = [[clip.path for clip in clips[at : at + group]] for at in range(0, len(clips), group)]
    they.library.one_by_one(rounds[0][:1])
    spent = in_turns(
        rounds,
        {
            ONE_BY_ONE: (they.library.one_by_one, time.process_time),
            f"{BATCHED} for each": (they.batched, time.process_time),
            SHARED: (they.shared, time.process_time),
            QUEUED: (they.queue.jobs, they.queue.processor_seconds),
        },
    )
    seconds = sum(clip.seconds for clip in clips)
    yield rates(f"{len(clips)} clips of 2 to 10 s ({seconds:.0f} s), as many jobs, {group} at a time", spent, seconds)
    yield verdict(spent, QUEUED, [ONE_BY_ONE, f"{BATCHED} for each"], AIM_CLIPS)


def long_file(clip: Clip, they: Contenders, rounds: int) -> Iterator[str]:
    spent = in_turns(
        [[clip.path]] * rounds,
        {
            BATCHED: (they.batched, time.process_time),
            "ours": (they.shared, time.process_time),
            QUEUED: (they.queue.jobs, they.queue.processor_seconds),
        },
    )
    yield rates(f"One file of {clip.seconds:.0f} s, {rounds} times", spent, rounds * clip.seconds)
    yield verdict(spent, QUEUED, [BATCHED], AIM_LONG)


def rows_on_a_cpu(clips: list[Clip], they: Contenders) -> Iterator[str]:
    """Processor seconds: with the words of several rows in one run, and the encoder row by row."""
    chunks = [chunk for clip in clips[:8] for chunk in they.ours.recognizer.prepare(clip.path, FIXED)][:8]
    rows = []
    for count in (1, 2, 4, 8):
        began = time.process_time()
        for at in range(0, len(chunks), count):
            they.ours.recognizer.decode(chunks[at : at + count])
        rows.append([str(count), f"{(time.process_time() - began) / len(chunks):.2f} s"])
    yield table("Rows of a batch", ["rows", "processor seconds a window"], rows)


def words(clips: list[Clip], long: Clip, folder: Path, threads: int) -> Iterator[str]:
    library, ours = Library(DEMO / "stt", threads), Ours(DEMO / "stt", threads)
    paths = [clip.path for clip in [*clips, long]]
    truth = [clip.text for clip in [*clips, long]]
    with Queue("demo", folder / "words-stack", threads) as queue:
        heard = {
            f"{BATCHED}, timestamps on": library.batched(paths),
            f"{BATCHED}, its default": library.batched(paths, timestamps=False),
            ONE_BY_ONE: library.one_by_one(paths),
            SHARED: ours.jobs(paths),
            "ours, no timestamps": ours.jobs(paths, timestamps=False),
            QUEUED: queue.jobs(paths),
        }
    reference = next(iter(heard.values()))
    rows = []
    for name, texts in heard.items():
        pairs = list(zip(truth, texts, strict=True))
        same = sum(mine == theirs for mine, theirs in zip(texts[:-1], reference[:-1], strict=True))
        rates_of_errors = [f"{character_error_rate(part):.2%}" for part in (pairs[:-1], pairs[-1:])]
        rows.append([name, *rates_of_errors, f"{same} of {len(clips)}"])
    header = ["contender", "CER, clips", f"CER, {long.seconds:.0f} s file", "clips as the first"]
    yield table("Words (demo model)", header, rows)
    yield from differences(clips, reference, heard[QUEUED])


def differences(clips: list[Clip], library: list[str], ours: list[str]) -> Iterator[str]:
    """The clips that the queue hears otherwise than the library alone, whole."""
    found = [
        f"* {clip.path.name}: said `{clip.text}`, library `{theirs}`, ours `{mine}`\n"
        for clip, theirs, mine in zip(clips, library, ours, strict=False)
        if theirs != mine
    ]
    yield f"Clips of which the queue and the library alone (timestamps on) have other words: {len(found)}.\n"
    yield from found[:MOST_DIFFERENCES]


def hours(clip: Clip, folder: Path, options: argparse.Namespace) -> Iterator[str]:
    recording = repeated(folder / "hours.flac", clip, options.hours * 3600)
    yield "### Hours\n"
    windows, report = stt_hours.prepared(recording)
    yield report
    yield from stt_hours.through_the_queue(recording, windows, folder, options.threads)


def measure(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    wanted = set(options.only or PARTS)
    clips = speak(folder, options.clips, options.seed)
    long = joined(folder, clips, options.long, options.seed)
    if {"clips", "rows"} & wanted:
        with Contenders(folder / "short", SHORT_TOKENS, options) as they:
            if "clips" in wanted:
                yield from short_clips(clips, they, options.group)
            if "rows" in wanted:
                yield from rows_on_a_cpu(clips, they)
    if "long" in wanted:
        with Contenders(folder / "long", LONG_TOKENS, options) as they:
            yield from long_file(long, they, options.rounds)
    if "words" in wanted:
        yield from words(clips, long, folder, options.threads)
    if "hours" in wanted:
        yield from hours(long, folder, options)


def allocate_as_a_worker() -> None:
    """Start this program again with the memory allocator's settings of the Procfile: they are fixed at a start."""
    line = procfile.read(ROOT / "Procfile")["worker_stt"]
    wanted = dict(re.findall(r"(MALLOC_\w+)=(\S+)", line))
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, "-m", "bench.stt", *sys.argv[1:]], {**os.environ, **wanted})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument(
        "--group", type=int, default=16, help="clips that a contender hears before it is another's turn"
    )
    parser.add_argument("--long", type=float, default=600, help="seconds of the long file")
    parser.add_argument("--rounds", type=int, default=2, help="times that each hears the long file")
    parser.add_argument("--hours", type=float, default=10, help="hours of the recording of hours")
    parser.add_argument("--rows", type=int, default=8, help="of a batch, for all: the library's default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--save", action="store_true", help="enter the tables in bench/RESULTS.md")
    options = parser.parse_args()
    allocate_as_a_worker()
    parts: list[str] = []
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        for part in measure(Path(scratch), options):
            print(part, flush=True)
            parts.append(part)
    parts.append(f"Load of the machine at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.\n")
    if options.save:
        save("Speech recognition", f"python -m bench.stt {' '.join(sys.argv[1:])}".strip(), "\n".join(parts))
    print(f"{parts[-1]}Peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10} MB.")


if __name__ == "__main__":
    main()
