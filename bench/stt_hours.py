"""A recording of hours in `bench.stt`: the peak of memory, and what is done twice when its worker is killed."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.hearing import character_error_rate
from bench.processes import Peaks
from bench.stt_contenders import ENDED, Queue
from bench.stt_material import Clip
from jobs.connect import connect
from jobs.ledger import Ledger

ROOT = Path(__file__).parents[1]
LOOK_SECONDS = 0.5
ENDS = 1000
"""Characters compared at each end: comparing all of ten hours would take longer than hearing them."""
SHOW_SECONDS = 30
REPORT_SECONDS = 5
"""By then a worker has told of its last batch."""


def prepared(clip: Clip) -> tuple[int, str]:
    """Peak memory of a process that prepares the recording; returns its windows, and what to report."""
    script = (
        "import sys, time; from pathlib import Path; from speech.stt import Recognizer, DecodeOptions\n"
        "peak = lambda: int(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0]) // 1024\n"
        "r = Recognizer.load('demo', threads=1); base = peak(); n = 0\n"
        "began = time.process_time(); p = r.prepare(sys.argv[1], DecodeOptions(language='zh'))\n"
        "for chunk in p: n += 1\n"
        "print(p.duration, n, base, peak(), round(time.process_time() - began, 1))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(clip.path)], cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds, chunks, base, peak, took = done.stdout.split()
    return int(chunks), (
        f"Preparing {float(seconds) / 3600:.2f} h (decode, find speech, cut into {chunks} windows of 10 s, features): "
        f"{took} s of processor, peak {peak} MB, of which {base} MB before it began.\n"
    )


def through_the_queue(clip: Clip, windows: int, folder: Path, threads: int) -> Iterator[str]:
    """The whole job with the demo model; its worker is killed half-way, and another one goes on."""
    with Queue("demo", folder / "hours-stack", threads) as queue:
        peaks, over, told = Peaks(queue.stack.processes), threading.Event(), []

        def watch() -> None:
            while not over.wait(LOOK_SECONDS):
                peaks.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        try:
            place = queue.submit(clip.path, temperature="0", formats="txt,json")
            ledger, job_id = Ledger(connect(queue.stack.redis_url)), place.rpartition("/")[2]
            progress = Progress(queue, place, lambda: peaks.bytes.get("worker_stt", 0))
            kept, killed, went_on = _kill_half_way(progress, lambda: set(ledger.units(job_id)), clip.seconds)
            while progress.look()["status"] not in ENDED:
                time.sleep(LOOK_SECONDS)
            job = queue.wait(place)
            took, told = time.monotonic() - began, progress.told
            assert job["progress"] == {"done": round(clip.seconds), "total": round(clip.seconds), "unit": "second"}, job
        finally:
            over.set()
            watcher.join()
        heard = queue.text(job)
        time.sleep(REPORT_SECONDS)
        [worker] = [worker for worker in queue.client.get("/v1/workers").json()["data"] if worker["kind"] == "stt"]
    largest = max(later - earlier for earlier, later in itertools.pairwise([0, *told]))
    # What the second worker ran and the first had kept is more than all by what was done twice.
    yield (
        f"{clip.seconds / 3600:.2f} h through the queue in {took:.0f} s (demo model): peak of the STT worker "
        f"{peaks.bytes['worker_stt'] / 2**20:.0f} MB, attempts {job['attempt']}, "
        f"CER at its two ends {_at_both_ends(clip.text, heard):.2%}, {len(heard)} characters of "
        f"{len(clip.text)}. Its progress was told in seconds of audio, {len(told)} times, by {largest} s at most, and "
        f"never fell. Its worker was killed when {kept} windows were "
        f"finished ({killed:.0f} s of audio); {went_on:.1f} s later the next attempt finished a new one. The second "
        f"worker ran {worker['units']} windows, of {windows} in all.\n"
    )


def _at_both_ends(spoken: str, heard: str) -> float:
    return character_error_rate([(spoken[:ENDS], heard[:ENDS]), (spoken[-ENDS:], heard[-ENDS:])])


class Progress:
    """What a job says of its progress, and whether that can be true; every half minute it is shown."""

    def __init__(self, queue: Queue, place: str, memory: Callable[[], int]) -> None:
        self.queue, self._place, self._memory = queue, place, memory
        self.told: list[int] = []
        """Seconds of audio, each time that they had changed."""
        self._shown = 0.0

    def look(self) -> dict:
        """Return the job as it is now."""
        job = self.queue.job(self._place)
        done, total, unit = (job["progress"][field] for field in ("done", "total", "unit"))
        if job["status"] == "running" and unit == "second":
            assert (self.told or [0])[-1] <= done <= total, f"{done} of {total} after {self.told[-1:]}"
            if done != (self.told or [0])[-1]:
                self.told.append(done)
        if time.monotonic() - self._shown > SHOW_SECONDS:
            self._shown = time.monotonic()
            said = f"  {job['status']}: {done} of {total} {unit}s, STT worker's peak {self._memory() // 2**20} MB"
            print(said, file=sys.stderr, flush=True)
        return job


def _kill_half_way(progress: Progress, units: Callable[[], set[str]], seconds: float) -> tuple[int, float, float]:
    """Kill the worker in the middle; return the windows finished then, their seconds, and how long it took to go on."""
    while (job := progress.look())["progress"]["done"] < seconds / 2:
        assert job["status"] not in ENDED, job
        time.sleep(LOOK_SECONDS)
    progress.queue.stack.kill("worker_stt")
    killed = time.monotonic()
    before = units()
    while not units() - before:
        assert progress.look()["status"] not in ENDED
        time.sleep(LOOK_SECONDS)
    return len(before), job["progress"]["done"], time.monotonic() - killed
