"""The summary of many transcripts, as the server and the command line write it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = ("file", "status", "seconds", "language", "words", "error", "warnings", "job")
IDEOGRAPHS = r"\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff"
WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W{IDEOGRAPHS}]+")
"""A Chinese or Japanese character, or a word of other scripts."""
FORMULA = {"=", "+", "-", "@", "\t", "\r", "\n"}
"""What a cell begins with that a spreadsheet runs, or that hides the beginning of one."""


def count_words(text: str) -> int:
    """Return how many words a text has; each Chinese character counts."""
    return sum(1 for _ in WORD.finditer(text))


def summary_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Return rows as a CSV that spreadsheets open: UTF-8 with its mark, and nothing that they would run."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _no_formula(value: Any) -> Any:
    """Keep a spreadsheet from running a file's name."""
    return f"'{value}" if isinstance(value, str) and value[:1] in FORMULA else value
