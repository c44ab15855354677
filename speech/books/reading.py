"""Reading a book of any kind we know."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from speech.books.building import Facts, build_as_given
from speech.books.epub import read_epub
from speech.books.errors import BookError
from speech.books.markdown import read_markdown
from speech.books.model import MAX_CHARACTERS, Book
from speech.books.pictures import MAX_COVER_BYTES, is_picture
from speech.books.plaintext import paragraphs_of, read_plain

MEDIA = (".epub", ".txt", ".md")
MAX_TEXT_BYTES = 4 * MAX_CHARACTERS


def read_book(path: str | Path, media: str | None = None) -> Book:
    """Read a book. ``media`` is ``.epub``, ``.txt`` or ``.md``; by default the suffix of ``path``.

    A zip file is read as EPUB whatever it is called. Raises :class:`BookError` (see there), :class:`FileNotFoundError`.
    """
    path = Path(path)
    kind = (media or path.suffix).lower()
    if kind == ".markdown":
        kind = ".md"
    if kind not in MEDIA:
        raise BookError(
            f"a book is one of {', '.join(MEDIA)}, not {kind or 'a file without suffix'}", code="not_a_book"
        )
    if kind == ".epub" or zipfile.is_zipfile(path):
        return read_epub(path)
    size = path.stat().st_size
    if size > MAX_TEXT_BYTES:
        raise BookError(f"the text has {size} bytes; the limit is {MAX_TEXT_BYTES}. Split it", code="book_too_big")
    data = path.read_bytes()
    if data[:5] == b"%PDF-" or data[:1000].count(0) > 900:
        raise BookError("the file is no text; a book is EPUB, plain text or Markdown", code="not_a_book")
    return read_plain(data) if kind == ".txt" else read_markdown(data)


def book_of_chapters(chapters: Iterable[tuple[str, str]], *, title: str = "", author: str = "") -> Book:
    """Make a book of (title, text) pairs, as they come in a request: each is a chapter, whatever it is called.

    Raises :class:`BookError`: ``empty_chapter`` names one without text.
    """
    given = ((name, paragraphs_of(body)) for name, body in chapters)
    return build_as_given(given, Facts(title=title, author=author))


def with_details(book: Book, details: Mapping[str, str | None], cover: bytes | None = None) -> Book:
    """Return the book with title, author or language, and cover replaced where given.

    Raises :class:`BookError` (``bad_cover``) if the cover is not a JPEG or PNG of at most 10 MiB.
    """
    if cover is not None and not is_picture(cover):
        raise BookError(f"cover: must be a JPEG or PNG of at most {MAX_COVER_BYTES // 2**20} MiB", code="bad_cover")
    given = {name: value.strip() for name, value in details.items() if value and value.strip()}
    return replace(
        book,
        title=given.get("title", book.title),
        author=given.get("author", book.author),
        language=given.get("language", book.language),
        cover=cover if cover is not None else book.cover,
    )
