"""How soon a listener hears a text: as a stream of the running job, beside waiting for the whole job, in one run.

`python -m bench.first_audio [--save]` starts a whole stack with the demo voice. Each figure is the median of some jobs,
one at a time, each of its own text, so that nothing is answered twice.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from app.stack import Stack
from app.stack.environment import without_settings
from bench import results

SENTENCES = (Path(__file__).parents[1] / "models/demo/domain-sentences.txt").read_text("utf-8").split()
SIZES = (1, 10, 100)
HEAD = {"wav": 45, "mp3": 1}
"""Bytes after which there is sound: those of a WAV's header and one more."""


def texts(size: int):
    """Yield texts of `size` sentences, each a different one."""
    for start in itertools.count():
        yield "\n".join(SENTENCES[(start * 7 + number) % len(SENTENCES)] for number in range(size))


def whole(http: httpx.Client, text: str, form: str) -> float:
    """Wait for the job, then fetch its sound's first bytes."""
    job = http.post("/v1/tts", json={"text": text, "format": form, "priority": "interactive"}).json()
    while job["status"] in {"queued", "running"}:
        job = http.get(f"/v1/jobs/{job['id']}", params={"wait": 60}).json()
    assert job["status"] == "succeeded", job
    with http.stream("GET", job["output"]["files"][0]["url"]) as answer:
        return heard(answer, form)


def streamed(http: httpx.Client, text: str, form: str) -> float:
    """Listen to the job from its submit on."""
    job = http.post("/v1/tts", json={"text": text, "priority": "interactive"}).json()
    with http.stream("GET", f"/v1/jobs/{job['id']}/stream", params={"format": form}) as answer:
        first = heard(answer, form, to_the_end="\n" not in text)
    http.post(f"/v1/jobs/{job['id']}/cancel")
    return first


def openai(http: httpx.Client, text: str, form: str) -> float:
    """Ask OpenAI's route; hanging up cancels the job."""
    body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": form}
    with http.stream("POST", "/v1/audio/speech", json=body) as answer:
        return heard(answer, form, to_the_end="\n" not in text)


def heard(answer: httpx.Response, form: str, *, to_the_end: bool = True) -> float:
    """Return when there is sound; hang up then, or listen `to_the_end`."""
    assert answer.status_code == 200, answer.read()
    taken, first = 0, 0.0
    for chunk in answer.iter_raw():
        taken += len(chunk)
        if taken >= HEAD[form] and not first:
            first = time.perf_counter()
            if not to_the_end:
                break
    assert first, "the stream ended without a sound"
    return first


def idle(http: httpx.Client) -> None:
    """Wait until nothing runs, so that the next job has the machine to itself."""
    while any(http.get("/v1/jobs", params={"status": status}).json()["data"] for status in ("queued", "running")):
        time.sleep(0.05)


def median(http: httpx.Client, way: Callable[[httpx.Client, str, str], float], source, form: str, jobs: int) -> float:
    """Return the median of the seconds from the submit to the first sound."""
    found = []
    for _ in range(jobs):
        began = time.perf_counter()
        found.append(way(http, next(source), form) - began)
        idle(http)
    return statistics.median(found)


def measure(http: httpx.Client, sizes: tuple[int, ...], jobs: int) -> str:
    rows = [
        "| text | format | whole job, s | `/stream`, s | `/v1/audio/speech`, s | whole job / stream |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size in sizes:
        source = texts(size)
        for form in HEAD:
            waited, told, asked = (median(http, way, source, form, jobs) for way in (whole, streamed, openai))
            name = f"{size} sentence{'s' if size > 1 else ''}"
            rows.append(f"| {name} | {form} | {waited:.2f} | {told:.2f} | {asked:.2f} | {waited / told:.1f} × |")
            print(rows[-1], flush=True)
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5, help="jobs of each kind")
    parser.add_argument("--sentences", type=int, nargs="+", default=SIZES, help="of a text, one row each")
    parser.add_argument("--save", action="store_true", help="write the table into bench/RESULTS.md")
    asked = parser.parse_args()
    settings = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_SLOTS": "tts,stt,cpu"}
    with (
        tempfile.TemporaryDirectory() as folder,
        Stack(Path(folder) / "data", env=settings, outer=without_settings(os.environ)) as stack,
        httpx.Client(base_url=stack.url, timeout=300) as http,
    ):
        stack.wait_ready(180)
        for form in HEAD:  # warm up every way
            for way in (whole, streamed, openai):
                way(http, "\n".join(SENTENCES[-3:]), form)
        load = os.getloadavg()[0]
        table = measure(http, tuple(asked.sentences), asked.jobs)
    note = (
        f"Seconds from the submit to the first sound, median of {asked.jobs} jobs, one at a time, demo voice, CPU. "
        "A job of one sentence has nothing to stream: it is sent when it is done. "
        f"Load of the machine {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    )
    print(f"\n{note}")
    if asked.save:
        results.save("First audio", "python -m bench.first_audio", f"{table}\n\n{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
