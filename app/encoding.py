"""Samples to other formats on their way to a listener, by FFmpeg in a process of its own (`speech.audio.piping`).

The web process has no media library: a fault in one would end all requests, and a codec would hold up all greenlets.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from app.problems import RETRY_SECONDS, Refusal

READ = 1 << 16
MOST = 32
"""Processes at once for each web process: some 60 MB each, and their share of the cores."""
MOST_IDLE = 2
"""Processes that wait for the next listener."""
COMMAND = (sys.executable, "-m", "speech.audio.piping", "serve")
LENGTH_BYTES = 4
"""Of the length before each block; an empty block is the last one."""
Process = subprocess.Popen[bytes]
_room = threading.BoundedSemaphore(MOST)


class Idle:
    """Processes that have their libraries loaded: to load them takes as long as a short sentence.

    There is none before the first listener; a process that has served one to the end waits for the next.
    """

    def __init__(self) -> None:
        self._waiting: list[Process] = []
        self._lock = threading.Lock()

    def take(self, *task: str) -> Process:
        """Return a process that does `task`."""
        line = json.dumps(task).encode() + b"\n"
        while process := self._pop():
            try:
                _send(process, line)
            except BrokenPipeError:  # somebody has ended it
                discard(process)
            else:
                return process
        process = _start()
        _send(process, line)
        return process

    def give_back(self, process: Process) -> None:
        """Keep a process that has ended its task, if there are not enough."""
        with self._lock:
            if len(self._waiting) < MOST_IDLE:
                self._waiting.append(process)
                return
        discard(process)

    def replace(self) -> None:
        """Start a process in the place of one that had to be ended: browsers break off a sound to ask anew for it."""
        with self._lock, contextlib.suppress(OSError):
            if not self._waiting:
                self._waiting.append(_start())

    def close(self) -> None:
        """End the processes that wait."""
        while process := self._pop():
            discard(process)

    def _pop(self) -> Process | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None


def _start() -> Process:
    return subprocess.Popen(COMMAND, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own


def discard(process: Process) -> None:
    """End a process and free its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _send(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    view = memoryview(data)
    while view:
        view = view[process.stdin.write(view) :]


def _block(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    """Return `size` bytes, fewer if the pipe ends."""
    found = b""
    while len(found) < size and (part := pipe.read(size - len(found))):
        found += part
    return found


idle = Idle()


class Pipe:
    """A process that turns what it is given into something else. Raises `Refusal` (503) if there are too many."""

    def __init__(self, *arguments: str) -> None:
        if not _room.acquire(blocking=False):
            detail = f"{MOST} sounds are being encoded; try again, or take wav or pcm at the voice's rate"
            raise Refusal(503, "busy", detail, headers={"Retry-After": str(RETRY_SECONDS)})
        self._closed = False
        self._has_ended = False
        try:
            self._process = idle.take(*arguments)
        except BaseException:
            _room.release()
            raise

    @classmethod
    def encoder(cls, form: str, rate: int, out_rate: int) -> Pipe:
        """Return a process that encodes samples of `rate` Hz."""
        return cls("encode", form, str(rate), str(out_rate))

    @classmethod
    def decoder(cls, path: Path, raw_rate: int, rate: int, skip: int, gain_db: float) -> Pipe:
        """Return a process that gives a file's samples at `rate` Hz, from sample `skip` on, `gain_db` louder.

        `raw_rate`: Hz of a file of raw samples, 0 for one that says itself what it holds.
        """
        return cls("decode", str(path), str(raw_rate), str(rate), str(skip), str(gain_db))

    def through(self, samples: Iterator[bytes]) -> Iterator[bytes]:
        """Yield what comes out while `samples` go in; what they raise is raised behind what came out of them."""
        failures: list[BaseException] = []
        feeder = threading.Thread(target=self._feed, args=(samples, failures), name="encoder-feeder", daemon=True)
        feeder.start()
        try:
            yield from self.output()
        finally:
            self.close()
            feeder.join()  # `samples` is free again
        if failures:
            raise failures[0]

    def output(self) -> Iterator[bytes]:
        """Yield what comes out. Raises `Refusal` (500) if the process fails."""
        assert self._process.stdout is not None
        while len(head := _exactly(self._process.stdout, LENGTH_BYTES)) == LENGTH_BYTES:
            size = int.from_bytes(head, "big")
            if not size:
                self._has_ended = True
                return
            yield _exactly(self._process.stdout, size)
        if not self._closed:
            raise Refusal(500, "internal_error", "the sound could not be encoded; the server's log has the reason")

    def _feed(self, samples: Iterator[bytes], failures: list[BaseException]) -> None:
        try:
            for block in samples:
                if self._closed:
                    return
                if block:
                    _send(self._process, _block(block))
        except OSError:
            pass  # the process has ended, and its output says so
        except Exception as error:  # noqa: BLE001 - it belongs to the listener's thread
            failures.append(error)
        finally:
            if not self._closed:
                with contextlib.suppress(OSError):
                    _send(self._process, _block(b""))

    def close(self) -> None:
        """Give the process back; one that has not ended its task is ended."""
        if self._closed:
            return
        self._closed = True
        if self._has_ended:
            idle.give_back(self._process)
        else:
            discard(self._process)
            idle.replace()
        _room.release()
