"""Keeps `bench/RESULTS.md`: one section for each benchmark, replaced when it is run again with `--save`."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = "# Results\n\nEach section names its command. Its figures come from one run and are best read as ratios.\n"


def machine() -> str:
    """Return the processor, its cores and the Python that a run used."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{len(os.sched_getaffinity(0))} cores of {model}, Python {platform.python_version()}"


def save(title: str, command: str, text: str, *, path: Path = RESULTS) -> None:
    """Put a section in place of the one with the same title, or at the end."""
    today = datetime.now(UTC).date().isoformat()
    section = f"## {title}\n\n`{command}`, {today}, {machine()}.\n\n{text.strip()}\n"
    found = path.read_text("utf-8") if path.exists() else HEAD
    start = re.search(rf"^## {re.escape(title)}$", found, re.MULTILINE)
    if start is None:
        found = f"{found.rstrip()}\n\n{section}"
    else:
        end = re.compile(r"^## ", re.MULTILINE).search(found, start.end())
        after = f"\n{found[end.start() :]}" if end else ""
        found = f"{found[: start.start()]}{section}{after}"
    path.write_text(found, "utf-8")
