"""Names that clients give to files, made harmless: for records, for folders, for archives, for headers."""

from __future__ import annotations

import unicodedata

MOST_CHARS = 150
MOST_BYTES = 200
"""Of a name in UTF-8: file systems take 255."""
MOST_FOLDERS = 16
"""Of a path: file systems take some 4,000 bytes in all."""


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


def clean_path(given: str, default: str = "file") -> str:
    """Return a relative path with its folders: each part as `clean_name` has it, no root, no drive, nothing upwards."""
    *folders, name = given.replace("\\", "/").split("/")
    kept = [part for folder in folders if not folder.endswith(":") and (part := clean_name(folder, ""))]
    return "/".join([*kept[-MOST_FOLDERS:], clean_name(name, default)])


class UniqueNames:
    """Gives each taken name once, upper and lower case being the same; a second one gets a number.

    So does a folder with the name of a file, and a file with that of a folder: they could not lie side by side.
    """

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}
        self._folders: dict[str, str] = {}

    def take(self, name: str) -> str:
        """Return `name`, or `name (2)` and so on before its ending if it is taken."""
        *folders, last = name.split("/")
        path = ""
        for folder in folders:
            path = f"{self._folder(path + folder)}/"
        return self._free(path + last)

    def _folder(self, path: str) -> str:
        folded = path.casefold()
        if folded not in self._folders:
            self._folders[folded] = self._free(path)
        found = self._folders[folded]
        return path if found.casefold() == folded else found  # in its own upper and lower case

    def _free(self, name: str) -> str:
        free, number = name, self._taken.get(name.casefold(), 0) + 1
        while number > 1 and (free := _numbered(name, number)).casefold() in self._taken:
            number += 1
        self._taken[name.casefold()] = number  # the next one of this name need not look at all of them again
        self._taken.setdefault(free.casefold(), 1)
        return free


def _numbered(name: str, number: int) -> str:
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    numbered = f"{stem} ({number}){dot}{ending}" if stem else f"{last} ({number})"
    return f"{folder}{slash}{numbered}"
