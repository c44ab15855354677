"""Bytes for the parsers, led by coverage (atheris): each target in a process of its own, from the committed seeds.

`python -m bench.fuzz --parsers 100000` runs it for all targets; `python -m bench.fuzz_parsers NAME RUNS SEED FOLDER` is
such a process. What it finds is written to tests/fuzz/seeds/NAME/found-*, where the tests replay it from then on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
SEEDS = ROOT / "tests" / "fuzz" / "seeds"
LONGEST_BYTES = 2000
SECONDS_EACH = 10
"""One input takes longer: a finding."""
MEGABYTES = 2048


@dataclass
class Run:
    """What came of one target."""

    name: str
    runs: int
    seconds: float
    coverage: int
    found: str = ""
    """The tail of the log of a failure, empty for none."""


def fuzz(name: str, runs: int, seed: int) -> Run:
    """Run one target."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SEEDS / name, folder, dirs_exist_ok=True)
        command = [sys.executable, "-m", "bench.fuzz_parsers", name, str(runs), str(seed), folder]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    log = ended.stdout + ended.stderr
    done = [int(number) for number in re.findall(r"^#(\d+)", log, re.MULTILINE)] or [0]
    covered = [int(number) for number in re.findall(r"cov: (\d+)", log)] or [0]
    found = "" if ended.returncode == 0 else f"exit {ended.returncode}\n{log[-3000:]}"
    return Run(name, max(done), time.monotonic() - begun, max(covered), found)


def table(runs: list[Run]) -> str:
    """Return the counts in Markdown."""
    lines = ["| parser | inputs | seconds | edges covered | findings |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {one.name} | {one.runs} | {one.seconds:.0f} | {one.coverage} | {int(bool(one.found))} |" for one in runs
    ]
    total, findings = sum(one.runs for one in runs), sum(bool(one.found) for one in runs)
    return "\n".join([*lines, f"| **all** | **{total}** | {sum(one.seconds for one in runs):.0f} | | **{findings}** |"])


def _fuzz_here(name: str, runs: int, seed: int, folder: str) -> None:
    import atheris

    from bench.fuzz_targets import TARGETS

    with atheris.instrument_imports(include=["app", "jobs", "speech", "workers"]):
        target = TARGETS[name]()
    options = [
        f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST_BYTES}", f"-timeout={SECONDS_EACH}",
        f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={SEEDS / name}/found-", "-print_final_stats=1",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, folder], target)
    atheris.Fuzz()


if __name__ == "__main__":
    os.nice(5)
    _fuzz_here(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
