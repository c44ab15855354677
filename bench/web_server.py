"""Which kind of gunicorn worker: 200 open event streams while 50 jobs a second are submitted.

`python -m bench.web_server` prints the table of docs/decisions/web-server.md. A stream counts as served when its first
event has come; a submit that takes more than five seconds counts as failed (status 0).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.load import Result, open_loop
from bench.servers import gunicorn, valkey
from bench.submit import body

STREAMS, RATE, SECONDS, PATIENCE = 200, 50, 15, 5.0
KINDS = {
    "gthread, 32 threads": ("--worker-class", "gthread", "--threads", "32"),
    "gthread, 300 threads": ("--worker-class", "gthread", "--threads", "300"),
    "gevent": ("--worker-class", "gevent"),
}


class Stream:
    """One open event stream; notes when each event came."""

    def __init__(self, url: str, job: str) -> None:
        self.url, self.job = urlsplit(url), job
        self.events: list[float] = []
        self.task = asyncio.create_task(self.read())

    async def read(self) -> None:
        reader, writer = await asyncio.open_connection(self.url.hostname, self.url.port)
        writer.write(f"GET /v1/jobs/{self.job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while line := await reader.readline():
            if line.startswith(b"event:"):
                self.events.append(time.perf_counter())


async def until(done, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110 - 200 tasks note their times; the benchmark looks at them
                await asyncio.sleep(0.02)


async def measure(url: str) -> tuple[int, Result, float | None, int]:
    """Streams served, the submits, milliseconds until the last stream heard of a change, memory in MiB."""
    async with httpx.AsyncClient(base_url=url) as client:
        job = (await client.post("/v1/tts", json={"text": "等一等。"})).json()["id"]
        streams = [Stream(url, job) for _ in range(STREAMS)]
        await until(lambda: all(stream.events for stream in streams), PATIENCE)
        served = sum(bool(stream.events) for stream in streams)
        result = await open_loop(url, "/v1/tts", body, rate=RATE, seconds=SECONDS, patience=PATIENCE)
        heard, changed = None, time.perf_counter()
        with contextlib.suppress(httpx.HTTPError):
            await client.post(f"/v1/jobs/{job}/cancel", timeout=PATIENCE)
            await until(lambda: all(len(stream.events) > 1 for stream in streams), PATIENCE)
            if all(len(stream.events) > 1 for stream in streams):
                heard = (max(stream.events[-1] for stream in streams) - changed) * 1000
        for stream in streams:
            stream.task.cancel()
        return served, result, heard, resident_mib(urlsplit(url).port)


def resident_mib(port: int) -> int:
    """Memory of the gunicorn processes that were started for this port."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"VOXQUEUE_PORT={port}\0" in (folder / "environ").read_text(errors="replace"):
                status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
                total += int(status["VmRSS"].split()[0]) // 1024
    return total


def main() -> int:
    print("| worker | streams served | submits answered | p50 ms | p99 ms | change heard by all after ms | MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, options in KINDS.items():
        with valkey() as redis_url, tempfile.TemporaryDirectory() as folder:
            environment = {"VOXQUEUE_REDIS_URL": redis_url, "VOXQUEUE_DATA_DIR": folder, "VOXQUEUE_API_KEYS": ""}
            with gunicorn("app:create_app()", environment, *options) as url:
                served, result, heard, memory = asyncio.run(measure(url))
        fine = f"{result.statuses[202]} of {RATE * SECONDS}"
        p50, p99 = result.quantile(0.5) * 1000, result.quantile(0.99) * 1000
        print(
            f"| {name} | {served} of {STREAMS} | {fine} | {p50:.0f} | {p99:.0f} | "
            f"{'never' if heard is None else f'{heard:.0f}'} | {memory} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
