"""Whisper through our batches against faster-whisper alone: short clips as jobs of their own, one long file, words.

Speed is measured on a Whisper of random weights and full size, words on the bundled demo model. All contenders hear the
same files in the same run with the same beam, in turns (so that a busy machine is unfair to none), one temperature.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import numpy as np
import soundfile

from bench import random_whisper
from bench.hearing import character_error_rate
from bench.results import save
from speech.stt import DecodeOptions, Recognizer

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "models" / "demo"
RATE = 16_000
GROUP = 16
Contender = tuple[Callable[[list[Path]], object], Callable[[], float]]
"""What hears files, and what counts its processor seconds."""
PATIENCE = 300
SHORT_TOKENS, LONG_TOKENS = 40, 120
"""Tokens that the random model writes for a window: about what Mandarin needs for 8 s and for 25 s."""


@dataclass(frozen=True)
class Clip:
    path: Path
    text: str
    seconds: float


FIXED = DecodeOptions(language="zh", temperature=0.0)

# --- material


def speak(folder: Path, count: int, seed: int) -> list[Clip]:
    """Clips of 2 to 10 s by the demo voice: one to three sentences of its domain each."""
    from speech.tts import Voice

    rng = np.random.default_rng(seed)
    sentences = (DEMO / "domain-sentences.txt").read_text("utf-8").split()
    rng.shuffle(sentences)
    wanted = sentences[: min(len(sentences), count * 2)]
    voice = Voice.load(DEMO / "tts" / "voices" / "demo")
    spoken = [(text, audio) for text, audio in zip(wanted, voice.synthesize(wanted), strict=True)]
    clips = []
    while len(clips) < count:
        parts: list[tuple[str, np.ndarray]] = []
        for _ in range(rng.integers(1, 4)):
            part = spoken[rng.integers(0, len(spoken))]
            if sum(len(audio) for _, audio in [*parts, part]) < 9.3 * RATE:
                parts.append(part)
        audio = np.concatenate([np.pad(audio, (1600, 3200)) for _, audio in parts])
        if len(audio) >= 2 * RATE:
            clips.append(write(folder / f"clip{len(clips):03d}.wav", audio, "".join(text for text, _ in parts)))
    return clips


def write(path: Path, audio: np.ndarray, text: str) -> Clip:
    soundfile.write(path, audio, RATE)
    return Clip(path, text, len(audio) / RATE)


def joined(folder: Path, clips: list[Clip], seconds: float, seed: int) -> Clip:
    """One long recording: the clips one after the other, with pauses of up to 1.5 s."""
    rng = np.random.default_rng(seed)
    parts, text, length = [], "", 0
    while length < seconds * RATE:
        clip = clips[rng.integers(0, len(clips))]
        audio = np.pad(soundfile.read(clip.path, dtype="float32")[0], (0, int(rng.uniform(0.2, 1.5) * RATE)))
        parts.append(audio)
        text += clip.text
        length += len(audio)
    return write(folder / f"long{int(seconds)}.wav", np.concatenate(parts), text)


# --- contenders


class Library:
    """faster-whisper itself, with the options that we use."""

    def __init__(self, folder: Path, threads: int) -> None:
        from faster_whisper import BatchedInferencePipeline, WhisperModel

        self.model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
        self.pipeline = BatchedInferencePipeline(self.model)
        self.common = {"language": "zh", "beam_size": 5, "temperature": 0.0, "vad_filter": True}

    def one_by_one(self, paths: list[Path], *, timestamps: bool = True) -> list[str]:
        def heard(path: Path) -> str:
            segments, _ = self.model.transcribe(
                str(path),
                condition_on_previous_text=False,
                without_timestamps=not timestamps,
                **self.common,
            )
            return "".join(segment.text for segment in segments)

        return [heard(path) for path in paths]

    def batched(self, paths: list[Path], *, rows: int = 8, timestamps: bool = True) -> list[str]:
        def heard(path: Path) -> str:
            segments, _ = self.pipeline.transcribe(
                str(path), batch_size=rows, without_timestamps=not timestamps, **self.common
            )
            return "".join(segment.text for segment in segments)

        return [heard(path) for path in paths]


class Ours:
    """Our recogniser as a worker runs it: task threads prepare, the scheduler batches, one engine thread decodes."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.recognizer = Recognizer.load(folder, compute_type="int8", threads=threads)
        self.recognizer.warm_up()

    def cost(self, payload: object) -> int:
        return self.recognizer.cost(payload)

    def bucket(self, payload: object) -> object:
        return self.recognizer.bucket(payload)

    def run(self, payloads: list) -> list:
        return self.recognizer.decode(payloads)

    def jobs(self, paths: list[Path], *, rows: int = 8, timestamps: bool = True) -> list[str]:
        from workers.batching import BatchScheduler

        scheduler = BatchScheduler(self, max_cost=sys.maxsize, max_rows=rows, linger_seconds=0.015)
        scheduler.start()
        options = DecodeOptions(language="zh", temperature=0.0, timestamps=timestamps)

        def job(path: Path) -> str:
            preparation = self.recognizer.prepare(path, options)
            futures: list[Future] = [scheduler.submit(chunk, job=path.name) for chunk in preparation]
            return self.recognizer.assemble(preparation, [future.result() for future in futures]).text

        try:
            with ThreadPoolExecutor(16) as threads:
                return list(threads.map(job, paths))
        finally:
            scheduler.stop(drain=True)


class Queue:
    """The whole stack: each clip is a job of its own, submitted over HTTP and polled to its end."""

    def __init__(self, folder: Path, data: Path, threads: int, rows: int) -> None:
        from app.stack import Stack

        settings = {
            "VOXQUEUE_STT_MODEL": str(folder),
            "VOXQUEUE_STT_COMPUTE_TYPE": "int8",
            "VOXQUEUE_STT_BATCH_ROWS": str(rows),
            "VOXQUEUE_CPU_THREADS": str(threads),
            "VOXQUEUE_SLOTS": "stt,cpu",
            "VOXQUEUE_DEVICE": "cpu",
            "VOXQUEUE_LOG_LEVEL": "WARNING",
        }
        self.stack = Stack(data, env=settings)

    def __enter__(self) -> Self:
        self.stack.start()
        end = time.monotonic() + PATIENCE
        with httpx.Client(base_url=self.stack.url, timeout=30) as client:
            while not self._listens(client):  # /readyz would wait for a worker that speaks
                assert time.monotonic() < end, self.stack.report()
                time.sleep(0.5)
        return self

    @staticmethod
    def _listens(client: httpx.Client) -> bool:
        try:
            answer = client.get("/v1/workers")
        except httpx.TransportError:
            return False
        return answer.is_success and any(worker["kind"] == "stt" for worker in answer.json()["data"])

    def __exit__(self, *exc: object) -> None:
        self.stack.stop()

    def jobs(self, paths: list[Path]) -> list[str]:
        options = {"language": "zh", "temperature": "0", "formats": "txt"}
        with httpx.Client(base_url=self.stack.url, timeout=120) as client:
            places = []
            for path in paths:
                with path.open("rb") as file:
                    answer = client.post("/v1/stt", files={"file": (path.name, file)}, data=options)
                places.append(answer.raise_for_status().headers["Location"])
            return [self._wait(client, place) for place in places]

    def processor_seconds(self) -> float:
        """Of the whole stack: web, workers, Valkey, Flower."""
        return processor_seconds_of(os.getpid()) - time.process_time()

    def _wait(self, client: httpx.Client, place: str) -> str:
        while True:
            job = client.get(place, params={"wait": 60}).raise_for_status().json()
            if job["status"] in {"succeeded", "failed", "canceled"}:
                assert job["status"] == "succeeded", job
                return job["output"]["text"]


class Contenders:
    """All of them on one random model that writes so many tokens for each window."""

    def __init__(self, folder: Path, tokens: int, options: argparse.Namespace) -> None:
        self.rows, threads = options.rows, options.threads
        model = random_whisper.make(folder / "model", random_whisper.SMALL, tokens_written=tokens, quantization="int8")
        self.library, self.ours = Library(model, threads), Ours(model, threads)
        self.queue = Queue(model, folder / "stack", threads, self.rows)

    def batched(self, paths: list[Path]) -> list[str]:
        return self.library.batched(paths, rows=self.rows)

    def shared(self, paths: list[Path]) -> list[str]:
        return self.ours.jobs(paths, rows=self.rows)

    def __enter__(self) -> Self:
        self.queue.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.queue.__exit__(*exc)


# --- measurements


@dataclass
class Cost:
    """What a contender took: seconds on the clock, and seconds of processor, which a busy machine changes less."""

    clock: float = 0.0
    processor: float = 0.0


def in_turns(groups: list[list[Path]], contenders: dict[str, Contender]) -> dict[str, Cost]:
    """What each contender took for all groups; another one begins in each round."""
    spent = {name: Cost() for name in contenders}
    names = list(contenders)
    for number, group in enumerate(groups):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            hear, processor_seconds = contenders[name]
            began, used = time.perf_counter(), processor_seconds()
            hear(group)
            spent[name].clock += time.perf_counter() - began
            spent[name].processor += processor_seconds() - used
            print(f"  {number + 1}/{len(groups)} {name}: {spent[name]}", file=sys.stderr, flush=True)
    return spent


def processor_seconds_of(root: int) -> float:
    """Processor seconds of a process and of all that it started and that still runs."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def belongs(pid: int) -> bool:
        while pid not in {0, root}:
            pid = parents.get(pid, 0)
        return pid == root

    return sum(seconds for pid, seconds in used.items() if belongs(pid))


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def rates(title: str, spent: dict[str, Cost], seconds: float) -> str:
    first = next(iter(spent.values()))
    rows = [
        [
            name,
            f"{cost.clock:.1f} s",
            f"{first.clock / cost.clock:.2f}×",
            f"{cost.processor:.1f} s",
            f"{first.processor / cost.processor:.2f}×",
            f"{cost.processor / seconds:.3f}",
        ]
        for name, cost in spent.items()
    ]
    header = ["contender", "clock", "rate, of the first", "processor", "rate, of the first", "processor s per audio s"]
    return table(title, header, rows)


def short_clips(clips: list[Clip], they: Contenders) -> Iterator[str]:
    groups = [[clip.path for clip in clips[at : at + GROUP]] for at in range(0, len(clips), GROUP)]
    they.library.one_by_one(groups[0][:1])
    spent = in_turns(
        groups,
        {
            "`WhisperModel.transcribe`, one by one": (they.library.one_by_one, time.process_time),
            "`BatchedInferencePipeline`, one by one": (they.batched, time.process_time),
            "ours, jobs share batches": (they.shared, time.process_time),
            "ours, through the whole queue": (they.queue.jobs, they.queue.processor_seconds),
        },
    )
    seconds = sum(clip.seconds for clip in clips)
    yield rates(f"{len(clips)} clips of 2 to 10 s ({seconds:.0f} s), as many jobs, {GROUP} at a time", spent, seconds)


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


def long_file(clip: Clip, they: Contenders) -> Iterator[str]:
    spent = in_turns(
        [[clip.path]],
        {
            "`BatchedInferencePipeline`": (they.batched, time.process_time),
            "ours": (they.shared, time.process_time),
            "ours, through the whole queue": (they.queue.jobs, they.queue.processor_seconds),
        },
    )
    yield rates(f"One file of {clip.seconds:.0f} s", spent, clip.seconds)


def words(clips: list[Clip], long: Clip, threads: int) -> Iterator[str]:
    folder = DEMO / "stt"
    library, ours = Library(folder, threads), Ours(folder, threads)
    paths = [clip.path for clip in [*clips, long]]
    truth = [clip.text for clip in [*clips, long]]
    reference = library.batched(paths)
    rows = []
    for name, heard in {
        "`BatchedInferencePipeline`, timestamps on": reference,
        "`BatchedInferencePipeline`, its default": library.batched(paths, timestamps=False),
        "`WhisperModel.transcribe`, one by one": library.one_by_one(paths),
        "ours": ours.jobs(paths),
        "ours, no timestamps": ours.jobs(paths, timestamps=False),
    }.items():
        pairs = list(zip(truth, heard, strict=True))
        same = sum(mine == theirs for mine, theirs in zip(heard[:-1], reference[:-1], strict=True))
        rows.append(
            [
                name,
                f"{character_error_rate(pairs[:-1]):.2%}",
                f"{character_error_rate(pairs[-1:]):.2%}",
                f"{same} of {len(clips)}",
            ]
        )
    yield table(
        "Words (demo model)", ["contender", "CER, clips", f"CER, {long.seconds:.0f} s file", "clips as the first"], rows
    )


def ten_hours(clip: Clip, folder: Path, hours: float) -> Iterator[str]:
    """Peak memory of a process that prepares a long recording: decoding, finding speech, cutting, features."""
    audio, rate = soundfile.read(clip.path, dtype="int16")
    path = folder / "hours.flac"
    with soundfile.SoundFile(path, "w", rate, 1, format="FLAC") as file:
        for _ in range(int(hours * 3600 / clip.seconds)):
            file.write(audio)
    script = (
        "import sys, time; from pathlib import Path; from speech.stt import Recognizer, DecodeOptions\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024\n"
        "r = Recognizer.load('demo', threads=1); base = peak(); n = 0\n"
        "began = time.process_time(); p = r.prepare(sys.argv[1], DecodeOptions(language='zh'))\n"
        "for chunk in p: n += 1\n"
        "print(p.duration, n, base, peak(), round(time.process_time() - began, 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds, chunks, base, peak, took = done.stdout.split()
    yield (
        f"Preparing {float(seconds) / 3600:.2f} h (decode, find speech, cut into {chunks} windows of 10 s, features): "
        f"{took} s of processor, peak {peak} MB, of which {base} MB before it began.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--long", type=float, default=600, help="seconds of the long file")
    parser.add_argument("--hours", type=float, default=10, help="hours of the file for the memory test; 0: none")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["clips", "rows", "long", "words", "hours"], action="append")
    parser.add_argument("--save", action="store_true", help="enter the tables in bench/RESULTS.md")
    options = parser.parse_args()
    wanted = options.only or ["clips", "rows", "long", "words", "hours"]
    parts: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in measure(Path(scratch), wanted, options):
            print(part, flush=True)
            parts.append(part)
    if options.save:
        command = f"python -m bench.stt --clips {options.clips} --long {options.long:g} --rows {options.rows}"
        save("Speech recognition", command, "\n".join(parts))
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


def measure(folder: Path, wanted: list[str], options: argparse.Namespace) -> Iterator[str]:
    clips = speak(folder, options.clips, options.seed)
    long = joined(folder, clips, options.long, options.seed)
    if {"clips", "rows"} & set(wanted):
        with Contenders(folder / "short", SHORT_TOKENS, options) as they:
            if "rows" in wanted:
                yield from rows_on_a_cpu(clips, they)
            if "clips" in wanted:
                yield from short_clips(clips, they)
    if "long" in wanted:
        with Contenders(folder / "long", LONG_TOKENS, options) as they:
            yield from long_file(long, they)
    if "words" in wanted:
        yield from words(clips, long, options.threads)
    if "hours" in wanted and options.hours:
        yield from ten_hours(long, folder, options.hours)


if __name__ == "__main__":
    main()
