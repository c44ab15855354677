"""A file of words with their readings: a book's own, sent by the command line, or the operator's for all texts.

Each line is a word, blanks or a tab, and its reading; a word with blanks in it needs the tab. ``#`` begins a comment.
"""

from __future__ import annotations

import re
from pathlib import Path


def read_words(path: Path) -> list[tuple[str, str, str]]:
    """Return word, reading and place of each line, as they are written. Raises `OSError`, `UnicodeDecodeError`."""
    found = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        content = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if content:
            word, *reading = content.split("\t" if "\t" in content else None, 1)
            word = word.strip()
            found.append((word, "".join(reading).strip(), f"line {number} of {path.name} ({word!r})"))
    return found
