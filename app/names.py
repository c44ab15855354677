"""Names of files in headers and messages."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from jobs.names import clean_name


def printable(name: str) -> str:
    """Return a name that a file system gave, its bytes that are not UTF-8 replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return the header (RFC 6266) under which a browser saves a file as `name`, whatever it holds."""
    name = clean_name(name)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(c for c in plain if c.isalnum() or c in " ._-()[]+,=@").strip(". ") or "file"
    kind = "inline" if inline else "attachment"
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
