"""The append-only file of the embedded server after a crash of the host.

A command that was cut off at the end is dropped by Valkey itself. Some file systems leave zeros at the end instead, and
a disk may lose what was in the middle: then Valkey refuses the file.
"""

from __future__ import annotations

import mmap
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from app.stack.errors import StackError
from app.stack.logs import Follower

REFUSED = re.compile(r"Bad file format|Unrecoverable error reading the append only file|Unexpected end of file")
"""How Valkey says so in its log."""
FOLDER = "appendonlydir"


@dataclass(frozen=True)
class Damage:
    """Where an append-only file stops to make sense."""

    file: Path
    good_bytes: int
    lost_bytes: int
    zeros_only: bool
    """Whether nothing but zeros follows: then nothing was lost that had reached the disk."""

    def cut(self) -> Path:
        """Keep a copy of the file beside it and cut it off where it stops to make sense; return the copy's path."""
        copy = self.file.with_name(f"{self.file.name}.damaged-{int(time.time())}")
        shutil.copy2(self.file, copy)
        os.truncate(self.file, self.good_bytes)
        return copy

    def __str__(self) -> str:
        return f"{self.file} makes no sense after {self.good_bytes} bytes; {self.lost_bytes} bytes follow" + (
            ", all of them zero" if self.zeros_only else ""
        )


def find_damage(folder: Path) -> Damage | None:
    """Return where the newest append-only file of a server's folder is damaged, None if it can be read to its end."""
    files = sorted((folder / FOLDER).glob("*.incr.aof"), key=lambda file: int(file.name.split(".")[-3]))
    if not files or not files[-1].stat().st_size:
        return None
    with files[-1].open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        good = _readable(data)
        if good == len(data):
            return None
        rest = data[good:]
        return Damage(files[-1], good, len(rest), not rest.strip(b"\0"))


def _readable(data: mmap.mmap) -> int:
    """Return how many bytes are whole commands (`*COUNT`, then `$LENGTH` and that many bytes, COUNT times)."""
    good = 0
    while good < len(data):
        end = _after_command(data, good)
        if end is None:
            break
        good = end
    return good


def _after_command(data: mmap.mmap, start: int) -> int | None:
    if data[start : start + 1] == b"#":  # a note, such as a time stamp
        return _after_line(data, start)
    count, position = _number(data, start, b"*")
    for _ in range(count):
        length, position = _number(data, position, b"$")
        position += length + 2
        if length < 0 or data[position - 2 : position] != b"\r\n":
            return None
    return position if count > 0 else None


def _number(data: mmap.mmap, start: int, sign: bytes) -> tuple[int, int]:
    """Return the number of a line and the position after it; -1 for what is no such line."""
    end = data.find(b"\r\n", start, start + 32)
    digits = data[start + 1 : end] if end > 0 else b""
    if data[start : start + 1] != sign or not digits.isdigit():
        return -1, start
    return int(digits), end + 2


def _after_line(data: mmap.mmap, start: int) -> int | None:
    end = data.find(b"\r\n", start)
    return end + 2 if end >= 0 else None


class Nurse:
    """Looks at the server's log while it starts, and mends what can be mended without loss."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._lines = Follower(log)

    def look(self) -> None:
        """Cut off zeros if the server has refused its file because of them; it is being started again and again.

        Raises:
            StackError: more is damaged; says what to do.

        """
        if not any(REFUSED.search(line) for line in self._lines.lines()):
            return
        damage = find_damage(self._folder)
        if damage is None:
            raise StackError(f"Valkey cannot read its append-only file in {self._folder / FOLDER}; its log says why")
        if not damage.zeros_only:
            raise StackError(
                f"Valkey cannot read its append-only file: {damage}. `voxqueue mend` keeps a copy and cuts off what "
                "follows; jobs that were submitted or ended after that point are forgotten. Or put back a backup"
            )
        damage.cut()
