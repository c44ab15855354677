"""Names that clients give to files, made harmless: for records, for folders, for headers."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

MOST_CHARS = 150
MOST_BYTES = 200
"""Of the name in UTF-8: file systems take 255."""


def clean_name(given: str, default: str = "file") -> str:
    """Return the last part of a path without anything invisible or directing, at most `MOST_CHARS` long."""
    name = unicodedata.normalize("NFC", given).replace("\\", "/").rsplit("/", 1)[-1]
    # Controls, bidirectional overrides, surrogates, private and unassigned characters: category C. Line and
    # paragraph separators: Zl, Zp.
    name = "".join(" " if unicodedata.category(c) in {"Zl", "Zp"} else c for c in name)
    name = "".join(c for c in name if not unicodedata.category(c).startswith("C"))
    name = " ".join(name.split()).strip(". ")
    if not name:
        return default
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 10:
        stem, extension = name, ""
    tail = f".{extension}" if extension else ""
    stem = stem[: MOST_CHARS - len(tail)]
    while len(f"{stem}{tail}".encode()) > MOST_BYTES and stem:
        stem = stem[:-1]
    return f"{stem}{tail}".strip(". ") or default


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return the header (RFC 6266) under which a browser saves a file as `name`, whatever it holds."""
    name = clean_name(name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(c for c in plain if c.isalnum() or c in " ._-()[]+,=@").strip(". ") or "file"
    kind = "inline" if inline else "attachment"
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
