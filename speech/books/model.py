"""What a book is once it is read: chapters of paragraphs, and what was left out on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_CHAPTERS = 10_000
MAX_CHARACTERS = 20_000_000
"""Some 1,500 hours; more is a mistake or an attack, not a book."""


@dataclass(frozen=True)
class Warned:
    """Something the maker of a book should know; ``code`` is snake_case, ``at`` names the chapter or file, if any."""

    code: str
    detail: str
    at: str | None = None


@dataclass(frozen=True)
class Chapter:
    """A chapter: what is read aloud, paragraph by paragraph, without its title.

    ``parents`` are the titles of the parts it lies in, outermost first. ``skipped`` counts what is not read aloud:
    ``images``, ``tables``, ``footnotes``, ``footnote_marks``, ``page_numbers``, ``code``, and ``hidden`` for text that
    readers do not show.
    """

    title: str
    paragraphs: tuple[str, ...]
    parents: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    opening: bool = False
    """Whether it is what stands before the first heading, and has no title for that."""

    @property
    def text(self) -> str:
        """The paragraphs, a line each."""
        return "\n".join(self.paragraphs)

    @property
    def characters(self) -> int:
        """Characters to be read, spaces not counted, the title included."""
        return sum(not c.isspace() for c in self.title) + sum(not c.isspace() for p in self.paragraphs for c in p)


@dataclass(frozen=True)
class Book:
    """A book in reading order. ``cover`` is a JPEG or PNG; ``language`` is a BCP 47 tag or empty.

    ``left_out`` names whole pages that are not read (cover page, table of contents, copyright), with the reason.
    """

    title: str
    author: str
    language: str
    chapters: tuple[Chapter, ...]
    cover: bytes | None = None
    warnings: tuple[Warned, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def characters(self) -> int:
        """Characters of all chapters."""
        return sum(chapter.characters for chapter in self.chapters)
