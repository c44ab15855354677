"""What became of the recordings of a heap, kept in the folder of the results, so that nothing is done twice."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from app.names import printable

OWN_FOLDER = ".voxqueue"
SUMMARY, SUMMARY_TABLE = "summary.json", "summary.csv"


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


class Journal:
    """What is done, a line each. A killed process may leave half a line."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._path = output / OWN_FOLDER / "journal.jsonl"
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], Row] = {}
        self._saved_by: dict[str, tuple[str, str]] = {}
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
        """Return what was saved of a recording under `base`, None if it must be done (again)."""
        row = self._rows.get((key, name))
        if row is None or not all(
            stem_of(file) == base and self._is_there(file, row.files[file]) for file in row.files
        ):
            return None
        return row

    def wrote(self, name: str) -> bool:
        """Return whether a file of the output was saved by this run or an earlier one."""
        return name in self._saved_by or name in {SUMMARY, SUMMARY_TABLE}

    def add(self, key: str, row: Row) -> None:
        """Note that a recording is done and saved."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            begun = "" if file.tell() == 0 else "\n"  # ends half a line
            file.write(f"{begun}{json.dumps({'key': key, **asdict(row)})}")
            self._note(key, row)

    def _note(self, key: str, row: Row) -> None:
        for file in row.files:
            earlier = self._saved_by.get(file, (key, row.file))
            if earlier != (key, row.file):  # its file is another one now, be it of the same size
                self._rows.pop(earlier, None)
            self._saved_by[file] = (key, row.file)
        self._rows[key, row.file] = row

    def _is_there(self, name: str, size: int) -> bool:
        path = self._output / name
        return path.is_file() and path.stat().st_size == size
