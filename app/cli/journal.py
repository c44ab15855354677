"""What became of the recordings of a heap, kept in the folder of the results, so that nothing is done twice."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from app.names import printable

OWN_FOLDER = ".voxqueue"
SUMMARY, SUMMARY_TABLE = "summary.json", "summary.csv"
SUMMARY_BEGINS = re.compile(rb'(\xef\xbb\xbf)?file,status,|\[\s*(\]|\{\s*"file":)|\Z')
"""The table's, the list's, and that of one which was killed while it was written: nothing."""


@dataclass
class Row:
    """What became of a recording; a line of the summary and of the journal."""

    file: str
    status: str
    seconds: float | None = None
    language: str = ""
    words: int | None = None
    error: str = ""
    warnings: str = ""
    job: str = ""
    files: dict[str, int] = field(default_factory=dict)
    """Names and bytes of what was saved."""

    def shown(self) -> dict[str, Any]:
        """Return the row with names that can be written everywhere."""
        return {
            **asdict(self), "file": printable(self.file), "files": {printable(k): v for k, v in self.files.items()},
        }  # fmt: skip

    def to_json(self) -> str:
        """Return a line of JSON."""
        return json.dumps(self.shown(), ensure_ascii=False)


def stem_of(name: str) -> str:
    """Return a name with its folders and without its ending."""
    return str(PurePosixPath(name).with_suffix(""))


def foreign_summaries(output: Path) -> list[str]:
    """Return which files of a folder have the name of a summary and are none of transcripts."""
    paths = [output / name for name in (SUMMARY, SUMMARY_TABLE)]
    return [path.name for path in paths if path.is_file() and not SUMMARY_BEGINS.match(path.read_bytes())]


class Journal:
    """What is done, a line each. A killed process may leave half a line."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output / OWN_FOLDER / "journal.jsonl"
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], Row] = {}
        self._saved: dict[str, tuple[tuple[str, str], int]] = {}  # of each file the row that has saved it, and its size
        # The cut may go through a character.
        text = self._path.read_text("utf-8", errors="replace") if self._path.exists() else ""
        for line in text.split("\n"):
            try:
                entry = json.loads(line)
                key = entry.pop("key")
                row = Row(**entry)
            except (ValueError, TypeError):  # half a line, or one of another version: it is found out again
                continue
            self._note(key, row)

    def done(self, key: str, name: str, base: str) -> Row | None:
        """Return what was saved of a recording under `base`, None if it must be done (again).

        A file of another size was corrected by hand: it is left as it is, with a warning.
        """
        row = self._rows.get((key, name))
        if row is None or not all(stem_of(file) == base and (self._output / file).is_file() for file in row.files):
            return None
        if changed := [printable(file) for file in row.files if self._was_changed(file)]:
            left = f"{', '.join(changed)} was changed since it was saved, and is left as it is"
            return replace(row, warnings="; ".join(filter(None, (row.warnings, left))))
        return row

    def why_kept(self, name: str) -> str:
        """Return why a file of the output is the user's own; empty if it is not there, or is as it was saved."""
        if not (self._output / name).is_file():
            return ""
        if not self.wrote(name):
            return "is no transcript of an earlier run"
        return "was changed since it was saved" if self._was_changed(name) else ""

    def wrote(self, name: str) -> bool:
        """Return whether a file of the output was saved by this run or an earlier one."""
        return name in self._saved or name in {SUMMARY, SUMMARY_TABLE}

    def add(self, key: str, row: Row) -> None:
        """Note that a recording is done and saved."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            begun = "" if file.tell() == 0 else "\n"  # ends half a line
            file.write(f"{begun}{json.dumps({'key': key, **asdict(row)})}")
            self._note(key, row)

    def _note(self, key: str, row: Row) -> None:
        for file in row.files:
            earlier, _ = self._saved.get(file, ((key, row.file), 0))
            if earlier != (key, row.file):  # its file is another one now, be it of the same size
                self._rows.pop(earlier, None)
            self._saved[file] = (key, row.file), row.files[file]
        self._rows[key, row.file] = row

    def _was_changed(self, name: str) -> bool:
        return name in self._saved and (self._output / name).stat().st_size != self._saved[name][1]
