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
COMMAND = (sys.executable, "-m", "speech.audio.piping", "wait")
_room = threading.BoundedSemaphore(MOST)


class Spare:
    """A process that has its libraries loaded when the next listener comes: that takes as long as a short sentence.

    There is none before the first listener, and one from the end of his sound on, when nobody waits for the cores.
    """

    def __init__(self) -> None:
        self._ready: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def take(self, *task: str) -> subprocess.Popen[bytes]:
        """Return a process that does `task`."""
        with self._lock:
            process, self._ready = self._ready, None
        line = json.dumps(task).encode() + b"\n"
        if process is not None:
            try:
                _into(process).write(line)
            except BrokenPipeError:  # somebody has ended it
                discard(process)
            else:
                return process
        process = _start()
        _into(process).write(line)
        return process

    def refill(self) -> None:
        """See to it that the next one finds a process; if none can be started now, he starts his own."""
        with self._lock, contextlib.suppress(OSError):
            if self._ready is None:
                self._ready = _start()

    def close(self) -> None:
        """End the process that waits."""
        with self._lock:
            process, self._ready = self._ready, None
        if process is not None:
            discard(process)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(COMMAND, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - our own


def discard(process: subprocess.Popen[bytes]) -> None:
    """End a process and free its pipes."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _into(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


spare = Spare()


class Pipe:
    """A process that turns what it is given into something else. Raises `Refusal` (503) if there are too many."""

    def __init__(self, *arguments: str) -> None:
        if not _room.acquire(blocking=False):
            detail = f"{MOST} sounds are being encoded; try again, or take wav or pcm at the voice's rate"
            raise Refusal(503, "busy", detail, headers={"Retry-After": str(RETRY_SECONDS)})
        self._closed = False
        try:
            self._process = spare.take(*arguments)
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
        while chunk := self._out.read(READ):
            yield chunk
        if self._process.wait() != 0 and not self._closed:
            raise Refusal(500, "internal_error", "the sound could not be encoded; the server's log has the reason")

    def _feed(self, samples: Iterator[bytes], failures: list[BaseException]) -> None:
        try:
            for block in samples:
                view = memoryview(block)
                while view and not self._closed:
                    view = view[_into(self._process).write(view) :]
                if self._closed:
                    return
        except BrokenPipeError:
            pass  # the process has ended; its status says why
        except Exception as error:  # noqa: BLE001 - it belongs to the listener's thread
            failures.append(error)
        finally:
            with contextlib.suppress(OSError):
                _into(self._process).close()

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def close(self) -> None:
        """End the process."""
        if self._closed:
            return
        self._closed = True
        self._process.kill()
        self._process.wait()
        self._out.close()
        _room.release()
        spare.refill()
