"""Processes under measurement: one apart for a baseline, and the peak memory of a stack's."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MALLOC = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "67108864",
    "MALLOC_TRIM_THRESHOLD_": "268435456",
}
"""What the Procfile gives a TTS worker: without it the engine alone would be slower than in the worker."""


def apart(target: Callable[..., Any], *args: Any, env: Mapping[str, str] | None = None) -> tuple[Any, int]:
    """Call a function in a process of its own, with more in its environment.

    Returns its result and the peak of its memory in bytes.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_report, args=(theirs, target, args))
    before = dict(os.environ)
    os.environ.update(env or {})
    try:
        child.start()
    finally:
        os.environ.clear()
        os.environ.update(before)
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise SystemExit(f"{target.__name__} ended without a result") from None
    finally:
        child.join()


def _report(pipe: Any, target: Callable[..., Any], args: tuple[Any, ...]) -> None:
    result = target(*args)
    pipe.send((result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


class Peaks:
    """The highest resident memory of each program of a stack (its children one by one), and its processor time."""

    def __init__(self, processes: Callable[[], dict[str, int]]) -> None:
        self._processes = processes
        self.bytes: dict[str, int] = {}
        """By name; the largest of a program's processes, also of those that have died since they were looked at."""
        self._seconds: dict[tuple[str, int], float] = {}
        self._before: dict[tuple[str, int], float] | None = None

    def look(self) -> None:
        """Note what there is; to be called often enough that a process that dies was seen shortly before."""
        for name, pid in self._processes().items():
            for each in [pid, *_children(pid)]:
                self.bytes[name] = max(self.bytes.get(name, 0), _peak(each))
                self._seconds[name, each] = max(self._seconds.get((name, each), 0.0), _cpu_seconds(each))
        if self._before is None:
            self._before = dict(self._seconds)

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time of each program since the first look, its dead processes included."""
        found: dict[str, float] = {}
        for (name, pid), seconds in self._seconds.items():
            found[name] = found.get(name, 0.0) + seconds - (self._before or {}).get((name, pid), 0.0)
        return found


def _children(pid: int) -> list[int]:
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    direct = [int(one) for text in lists for one in text.split()]
    return direct + [below for one in direct for below in _children(one)]


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
