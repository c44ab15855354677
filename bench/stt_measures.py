"""Taking turns, counting seconds, and setting tables: what `bench.stt` measures with."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Contender = tuple[Callable[[list[Path]], object], Callable[[], float]]
"""What hears files, and what counts its processor seconds."""


@dataclass
class Cost:
    """What one took in each round: on the clock, and seconds of processor, which a busy machine changes less."""

    clocks: list[float] = field(default_factory=list)
    processors: list[float] = field(default_factory=list)

    @property
    def clock(self) -> float:
        return sum(self.clocks)

    @property
    def processor(self) -> float:
        return sum(self.processors)


def in_turns(rounds: list[list[Path]], contenders: dict[str, Contender]) -> dict[str, Cost]:
    """What each contender took for the files of all rounds; another one begins in each round."""
    spent = {name: Cost() for name in contenders}
    names = list(contenders)
    for number, files in enumerate(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            hear, processor_seconds = contenders[name]
            began, used = time.perf_counter(), processor_seconds()
            hear(files)
            spent[name].clocks.append(time.perf_counter() - began)
            spent[name].processors.append(processor_seconds() - used)
            took = f"{spent[name].clocks[-1]:.1f} s, {spent[name].processors[-1]:.1f} s of processor"
            print(f"  {number + 1}/{len(rounds)} {name}: {took}", file=sys.stderr, flush=True)
    return spent


def processor_seconds_of(root: int) -> float:
    """Processor seconds of a process and of all that it started and that still runs."""
    parents, used = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            pid = int(stat.parent.name)
            parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def belongs(pid: int) -> bool:
        while pid not in {0, root}:
            pid = parents.get(pid, 0)
        return pid == root

    return sum(seconds for pid, seconds in used.items() if belongs(pid))


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def rates(title: str, spent: dict[str, Cost], seconds: float) -> str:
    first = next(iter(spent.values()))
    rows = [
        [
            name,
            f"{cost.clock:.1f} s",
            f"{first.clock / cost.clock:.2f}×",
            f"{cost.processor:.1f} s",
            f"{first.processor / cost.processor:.2f}×",
            f"{cost.processor / seconds:.3f}",
        ]
        for name, cost in spent.items()
    ]
    header = ["contender", "clock", "rate, of the first", "processor", "rate, of the first", "processor s per audio s"]
    return table(title, header, rows)


def verdict(spent: dict[str, Cost], ours: str, rivals: list[str], aim: float) -> str:
    """Our rate as a multiple of the best rival's: over all rounds, in each, and by processor seconds."""
    best = min((spent[name] for name in rivals), key=lambda cost: cost.clock)
    mine = spent[ours]
    each = [theirs / own for theirs, own in zip(best.clocks, mine.clocks, strict=True)]
    ratio = best.clock / mine.clock
    return (
        f"{ours[0].upper()}{ours[1:]}: {ratio:.2f} of the library's best rate by the clock (median of the rounds "
        f"{statistics.median(each):.2f}; {', '.join(f'{one:.2f}' for one in each)}), "
        f"{best.processor / mine.processor:.2f} by processor seconds. "
        f"Aim {aim}: {'met' if ratio >= aim else 'MISSED'}.\n"
    )
