"""Showing the logs of all processes in one stream, each line with the name of its process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

POLL_SECONDS = 0.1
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92)


class LogTail(threading.Thread):
    """Follows `folder`/NAME.log for each name, across rotations, until `close`."""

    def __init__(self, folder: Path, names: list[str], out: TextIO, form: str = "text") -> None:
        super().__init__(name="log-tail", daemon=True)
        self._files = [Follower(folder / f"{name}.log") for name in names]
        width = max(map(len, names))
        self._prefixes = [
            f"\x1b[{COLOURS[i % len(COLOURS)]}m{name:<{width}}\x1b[0m │ " if out.isatty() else f"{name:<{width}} | "
            for i, name in enumerate(names)
        ]
        self._names = names
        self._is_json = form == "json"
        self._out = out
        self._done = threading.Event()

    def run(self) -> None:
        """Copy lines until `close`, then what has come since."""
        while not self._done.wait(POLL_SECONDS):
            self._copy()
        self._copy()

    def close(self) -> None:
        """Copy the last lines and end."""
        self._done.set()
        self.join()

    def _copy(self) -> None:
        copied = False
        for file, prefix, name in zip(self._files, self._prefixes, self._names, strict=True):
            for line in file.lines():
                self._out.write((as_json(name, line) if self._is_json else prefix + line) + "\n")
                copied = True
        if copied:
            self._out.flush()


def as_json(program: str, line: str) -> str:
    """Return a line that is JSON as it is, and what others log (the server, Flower) as an object."""
    if line.startswith("{") and line.endswith("}"):
        return line
    return json.dumps({"program": program, "message": line}, ensure_ascii=False)


class Follower:
    """The new whole lines of a file that grows and is rotated; begins at its present end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        if path.exists():
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> Iterator[str]:
        """Yield what was added since the last call."""
        if self._file is None:
            if not self.path.exists():
                return
            self._file = self.path.open("rb")
        yield from self._read()
        if self._was_rotated():
            yield from self._read()  # written between the read and the rotation
            self._file.close()
            self._file = self.path.open("rb")
            yield from self._read()

    def _read(self) -> Iterator[str]:
        assert self._file is not None
        *whole, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", errors="replace")

    def _was_rotated(self) -> bool:
        assert self._file is not None
        try:
            return self.path.stat().st_ino != os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:  # between the two renames of a rotation
            return False


def tail(path: Path, lines: int = 15) -> str:
    """Return the last lines of a log; empty if there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
