"""From the Procfile and VOXQUEUE_SLOTS to the processes of this host: one worker process per slot."""

from __future__ import annotations

import itertools
import os
import sysconfig
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.stack.errors import StackError
from jobs.settings import SLOT

WORKER = "worker_"


@dataclass(frozen=True)
class Program:
    """One process to run: its name, a shell command that `exec`s, and what it has in its environment alone."""

    name: str
    command: str
    env: Mapping[str, str] = field(default_factory=dict)


def slots(text: str) -> list[tuple[str, str | None]]:
    """Return `(kind, device)` of each slot of `kind@device:share, kind, ...`; the device is None where none is named.

    Devices and shares are the workers' affair (they know the GPUs); here they are only told apart.

    Raises:
        StackError: a slot is not of that form.

    """
    found: list[tuple[str, str | None]] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        match = SLOT.fullmatch(item)
        if match is None:
            raise StackError(
                f"VOXQUEUE_SLOTS: cannot read {item!r}; a slot is kind, kind@device or kind@device:share, such as tts@0"
            )
        found.append((match["kind"], match["device"]))
    return found


def plan(commands: Mapping[str, str], slot_text: str) -> list[Program]:
    """Return the programs of this host: each Procfile line once, but a worker's line once per slot of its kind.

    A worker whose kind has no slot does not run here (another host may run it). A worker finds its place in
    VOXQUEUE_SLOTS, from 0, in VOXQUEUE_WORKER_SLOT.

    Raises:
        StackError: a slot's kind has no `worker_<kind>` line.

    """
    wanted = slots(slot_text)
    for kind, _ in wanted:
        if WORKER + kind not in commands:
            kinds = ", ".join(name.removeprefix(WORKER) for name in commands if name.startswith(WORKER))
            raise StackError(f"VOXQUEUE_SLOTS: no such kind of worker: {kind!r}; there are {kinds}")
    count = Counter(kind for kind, _ in wanted)
    programs: dict[str, Program] = {}
    for name, command in commands.items():
        if not name.startswith(WORKER):
            programs[name] = Program(name, command)
        for place, (kind, device) in enumerate(wanted):
            if WORKER + kind == name:
                own = _unlike(programs, name if count[kind] == 1 or device is None else f"{name}_{device}")
                programs[own] = Program(own, command, {"VOXQUEUE_WORKER_SLOT": str(place)} | cuda_libraries())
    return list(programs.values())


def _unlike(taken: Container[str], name: str) -> str:
    names = (name if number == 1 else f"{name}_no{number}" for number in itertools.count(1))
    return next(candidate for candidate in names if candidate not in taken)


def cuda_libraries() -> dict[str, str]:
    """Return LD_LIBRARY_PATH with the CUDA 12 libraries that CTranslate2 opens by name, where pip installed them."""
    folders = [
        Path(sysconfig.get_path("purelib"), "nvidia", part, "lib") for part in ("cublas", "cudnn", "cuda_runtime")
    ]
    present = [str(folder) for folder in folders if folder.is_dir()]
    inherited = os.environ.get("LD_LIBRARY_PATH", "")
    return {"LD_LIBRARY_PATH": ":".join(filter(None, [*present, inherited]))} if present else {}
