"""The manifest of a finished book: what is in which file, how long, how loud, and what was not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from speech.books.loudness import Loudness
from speech.books.model import Book

VERSION = 1


@dataclass(frozen=True)
class ChapterEntry:
    """A chapter in the manifest. ``number`` is that of the book; a failed one has an ``error`` and no file."""

    number: int
    title: str
    characters: int
    file: str | None = None
    seconds: float = 0.0
    start: float | None = None
    """Second of the book file at which it begins."""
    sentences: int = 0
    skipped_sentences: Sequence[str] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    subtitles: Sequence[str] = ()
    gain_db: float = 0.0
    loudness: Loudness | None = None
    warnings: Sequence[str] = ()
    error: str | None = None
    voice: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "chapter": self.number,
            "title": self.title,
            "file": self.file,
            "seconds": round(self.seconds, 3),
            "start_seconds": None if self.start is None else round(self.start, 3),
            "characters": self.characters,
            "voice": self.voice,
            "sentences": self.sentences,
            "skipped_sentences": list(self.skipped_sentences),
            "skipped": dict(self.skipped),
            "subtitles": list(self.subtitles),
            "gain_db": round(self.gain_db, 2),
            "loudness": None if self.loudness is None else self.loudness.to_json(),
            "warnings": list(self.warnings),
            "error": self.error,
        }


def manifest(
    book: Book, chapters: Sequence[ChapterEntry], *, book_file: str | None, loudness: str, voice: str | None = None
) -> dict[str, Any]:
    """Return the manifest as a JSON object; chapters are put in the order of the book."""
    ordered = sorted(chapters, key=lambda chapter: chapter.number)
    spoken = [chapter for chapter in ordered if chapter.file is not None]
    return {
        "version": VERSION,
        "title": book.title,
        "author": book.author,
        "language": book.language,
        "voice": voice,
        "file": book_file,
        "seconds": round(sum(chapter.seconds for chapter in spoken), 3),
        "characters": sum(chapter.characters for chapter in spoken),
        "sentences": sum(chapter.sentences for chapter in spoken),
        "loudness": loudness,
        "chapters": [chapter.to_json() for chapter in ordered],
        "left_out": [{"title": title, "reason": reason} for title, reason in book.left_out],
        "warnings": [{"code": warning.code, "detail": warning.detail} for warning in book.warnings],
    }
