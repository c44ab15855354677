"""A small load generator: keep-alive connections in one event loop, cheap enough to share two cores with a server."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Result:
    """What a run saw; latencies in seconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connection:
    """One keep-alive HTTP/1.1 connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.reader = self.writer = None

    async def post(self, path: str, body: bytes) -> int:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        self.writer.write(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await self.reader.readexactly(length)
        if b"\r\nconnection: close" in head.lower():
            self.close()
        return int(head[9:12])

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = None


async def closed_loop(url: str, path: str, bodies, *, connections: int, requests: int) -> Result:
    """As many requests as `connections` can do, one after another on each; `bodies(i)` is the i-th body."""
    result, numbers = Result(), iter(range(requests))

    async def client() -> None:
        connection = Connection(url)
        for number in numbers:
            began = time.perf_counter()
            status = await connection.post(path, bodies(number))
            result.latencies.append(time.perf_counter() - began)
            result.statuses[status] += 1

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    result.seconds = time.perf_counter() - began
    return result


async def open_loop(url: str, path: str, bodies, *, rate: float, seconds: float, patience: float = 60) -> Result:
    """Requests at a fixed rate, whether the server keeps up or not; latency counts from when each was due.

    Status 0: no answer within `patience` seconds.
    """
    result, idle = Result(), []
    start = time.perf_counter()

    async def one(number: int) -> None:
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = idle.pop() if idle else Connection(url)
        try:
            async with asyncio.timeout(patience):
                status = await connection.post(path, bodies(number))
            idle.append(connection)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            status = 0
            connection.close()
        result.latencies.append(time.perf_counter() - due)
        result.statuses[status] += 1

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    result.seconds = time.perf_counter() - start
    return result
