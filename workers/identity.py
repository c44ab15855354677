"""Which process this is, so that others on the same machine can tell whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path


def identity(name: str) -> str:
    """Return the worker's name and what makes this process unique on this boot of this machine (or container)."""
    return f"{name}#{_place()}:{os.getpid()}:{_start_time(os.getpid())}"


def is_dead(worker: str) -> bool:
    """Whether a process is known to have ended: it ran in our place (boot and PID namespace), and is not there."""
    _, _, rest = worker.partition("#")
    place, _, process = rest.partition(":")
    pid, _, started = process.partition(":")
    if place != _place() or not pid.isdigit():
        return False
    return _start_time(int(pid)) != started


def _place() -> str:
    """Return what distinguishes this boot of this machine and this PID namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")[:16]
    return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"


def _start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since the boot; empty if it has ended (also as a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return "" if fields[0] in {"Z", "X"} else fields[19]
