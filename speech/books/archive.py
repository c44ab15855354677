"""Reading a zip from a stranger: nothing outside of it, no more than it may hold, nothing unpacked to disk."""

from __future__ import annotations

import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from pathlib import Path
from urllib.parse import unquote

from speech.books.errors import BookError
from speech.books.tidy import folded

MAX_ENTRIES = 50_000
MAX_ENTRY_BYTES = 32 * 2**20
MAX_TOTAL_BYTES = 256 * 2**20
"""What may be read of one archive, unpacked; pictures other than the cover are never read."""
_ELSEWHERE = re.compile(
    r"//|[a-z][a-z0-9+.-]*://|(?:about|blob|data|file|ftp|https?|javascript|mailto|tel|urn):", re.IGNORECASE
)
"""How references out of the archive begin; ``ch:1.xhtml`` is the name of a page."""


class Archive:
    """A zip file whose entries are read into memory one by one, counted and bounded. Use it with ``with``."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
            raise BookError(
                f"the file is not a whole EPUB (zip) file: {error}; send it again", code="not_a_book"
            ) from error
        entries = self._zip.infolist()
        if len(entries) > MAX_ENTRIES:
            self.close()
            raise BookError(f"the archive holds {len(entries)} files; the limit is {MAX_ENTRIES}", code="book_too_big")
        self._entries = {info.filename: info for info in entries}
        quoted = {folded(unquote(name)): name for name in self._entries}  # some tools quote the names in the zip, too
        self._folded = quoted | {folded(name): name for name in self._entries}
        self._left = MAX_TOTAL_BYTES

    @property
    def names(self) -> list[str]:
        """The names of all entries."""
        return list(self._entries)

    def find(self, name: str) -> str | None:
        """Return the entry of that name, whatever its case, Unicode composition or quoting; None if there is none."""
        if name in self._entries:
            return name
        return self._folded.get(folded(name))

    def read(self, name: str) -> bytes:
        """Return the bytes of an entry.

        Raises :class:`KeyError` if there is none, :class:`BookError` ``book_too_big`` over the limits (whatever the
        archive claims its sizes to be), ``encrypted_book`` with a password, ``not_a_book`` if it is damaged.
        """
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        info = self._entries[found]
        if info.flag_bits & 0x1:
            raise BookError(f"{name} is encrypted by a password; send the book without it", code="encrypted_book")
        limit = min(MAX_ENTRY_BYTES, self._left)
        try:
            with self._zip.open(info) as file:
                data = file.read(limit + 1)
        except (
            zipfile.BadZipFile,
            zlib.error,
            lzma.LZMAError,
            EOFError,
            NotImplementedError,
            OSError,
            ValueError,
        ) as error:
            raise BookError(
                f"{name} in the archive is damaged: {error}; send the book again", code="not_a_book"
            ) from error
        if len(data) > limit:
            raise BookError(
                f"{name} unpacks to more than {limit // 2**20} MiB; a book's page has at most "
                f"{MAX_ENTRY_BYTES // 2**20} MiB, its text {MAX_TOTAL_BYTES // 2**20} MiB",
                code="book_too_big",
            )
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Release the file."""
        self._zip.close()

    def __enter__(self) -> Archive:  # noqa: PYI034 - not made for subclasses
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def resolve(base: str, reference: str) -> tuple[str, str] | None:
    """Resolve a reference found in entry ``base`` to (entry name, fragment); None if it leads out of the archive."""
    reference = reference.strip()
    if _ELSEWHERE.match(reference):
        return None
    address, _, fragment = reference.partition("#")
    path = unquote(address.partition("?")[0])
    name = posixpath.normpath(posixpath.join(posixpath.dirname(base), path)) if path else base
    if name.startswith(("/", "../")) or name == ".." or "\\" in name:
        return None
    return name, unquote(fragment)
