"""The processes that write this worker's chapters (`speech.books.writer`): taken, waited for, ended in time."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import IO

from speech.books.chapter import ChapterAudio, Making
from speech.books.writer import made_of, task_line

COMMAND = (sys.executable, "-m", "speech.books.writer")
PATIENCE_SECONDS = 0.25
"""How often who waits for a writer asks whether to go on."""
MOST_TRIES = 3
"""New ones, that is: one that waited may have ended for want of work. A chapter that ends three is at fault itself."""
TUNING = "MALLOC_"
"""What the engine wants of its allocator would keep a writer's memory large."""
Process = subprocess.Popen[bytes]

log = logging.getLogger(__name__)


class Writers:
    """Writes chapters, each in one of a few processes that wait for the next one. Thread-safe.

    There are as many as chapters are written at once. They end by themselves when there is nothing to do, or with this
    process, however it ends.
    """

    def __init__(self) -> None:
        self._waiting: list[Process] = []
        self._lock = threading.Lock()

    def write(
        self, joined: Path, folder: Path, stem: str, making: Making, *, title: str, check: Callable[[], None]
    ) -> ChapterAudio:
        """Do what `encode_chapter` does. Whatever `check` raises ends the process that is at it."""
        task = task_line(joined, folder, stem, making, title)
        started = 0
        while started < MOST_TRIES:
            check()
            process = self._waiting_one()
            if process is None:
                process, started = _start(), started + 1
            try:
                answer = _ask(process, task, check)
            except BaseException:
                _end(process)
                raise
            if answer.endswith(b"\n"):
                self._give_back(process)
                return made_of(answer)
            status = _end(process)
            log.log(
                logging.WARNING if status else logging.DEBUG, "a writer of chapters has ended with status %s", status
            )
        raise RuntimeError(f"{MOST_TRIES} processes ended while they wrote a chapter")

    def close(self) -> None:
        """End the processes that wait."""
        while process := self._waiting_one():
            _end(process)

    def _waiting_one(self) -> Process | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def _give_back(self, process: Process) -> None:
        with self._lock:
            self._waiting.append(process)


def _start() -> Process:
    # In a group of its own: Ctrl-C is for the worker, which hands its jobs back first. In the same session, though: the
    # kernel weighs sessions against each other, and within one by how nice they are.
    process = subprocess.Popen(  # noqa: S603 - our own
        [*COMMAND, str(os.getpid())],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        env={name: value for name, value in os.environ.items() if not name.startswith(TUNING)},
    )
    threading.Thread(target=process.wait, name="writer-end", daemon=True).start()  # or it would stay as a zombie
    return process


def _ask(process: Process, task: bytes, check: Callable[[], None]) -> bytes:
    """Return the line that a process answers; what there is of it if the process ends."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(task)
    return _line(process.stdout, check)


def _line(pipe: IO[bytes], check: Callable[[], None]) -> bytes:
    with DefaultSelector() as selector:
        selector.register(pipe, EVENT_READ)
        found = b""
        while not found.endswith(b"\n"):
            if selector.select(PATIENCE_SECONDS):
                part = pipe.read(1 << 16)
                if not part:
                    return found
                found += part
            check()
        return found


def _end(process: Process) -> int:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    return process.wait()
