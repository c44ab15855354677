"""A dry run: what a book would become, before an hour of GPU time is spent on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from speech.books.building import shown_title
from speech.books.dialogue import passages
from speech.books.model import Book, Chapter
from speech.books.script import Pauses
from speech.books.selection import selected, voices_by_chapter

CHARACTERS_PER_SECOND = 4.2
"""Chinese characters a second at speed 1, without the edges of sentences."""
SENTENCE_EDGE_SECONDS = 0.4
"""Silence that a voice itself puts around a sentence."""
LATIN_WORDS_PER_SECOND = 2.5
SENTENCE_CHARACTERS = 20
"""Characters of a sentence, for the number of pauses."""
FIRST_LINE_CHARACTERS = 80


@dataclass(frozen=True)
class PlanOptions:
    """What the estimate depends on. ``selection`` is ``1-3,5`` or None for all chapters.

    ``voice`` speaks what ``chapter_voices`` ({"4-6": voice}) does not name; ``dialogue_voice`` speaks quotations.
    ``words`` are those of the pronunciation dictionary.
    """

    selection: str | None = None
    speak_titles: bool = True
    speed: float = 1.0
    pauses: Pauses = field(default_factory=Pauses)
    voice: str | None = None
    chapter_voices: Mapping[str, str] = field(default_factory=dict)
    dialogue_voice: str | None = None
    words: Collection[str] = ()


@dataclass(frozen=True)
class PlannedChapter:
    """A chapter as it would be made; ``number`` counts from 1 over the whole book.

    ``voice`` is None where the server's own speaks; ``dialogue_characters`` is what the dialogue voice would speak.
    """

    number: int
    title: str
    selected: bool
    characters: int
    paragraphs: int
    seconds: float
    first_line: str
    skipped: Mapping[str, int]
    voice: str | None = None
    dialogue_characters: int = 0


@dataclass(frozen=True)
class Plan:
    """What would be made of a book; ``characters`` and ``seconds`` count the selected chapters only.

    ``dictionary`` says how often each word of it stands in them: one that stands nowhere is a slip of the pen.
    """

    title: str
    author: str
    language: str
    cover: bool
    chapters: tuple[PlannedChapter, ...]
    characters: int
    seconds: float
    left_out: tuple[tuple[str, str], ...]
    warnings: tuple[tuple[str, str], ...]
    dialogue_voice: str | None = None
    dictionary: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; ``seconds_estimated`` says that durations are guesses."""
        return {
            "title": self.title,
            "author": self.author,
            "language": self.language,
            "cover": self.cover,
            "chapters_total": len(self.chapters),
            "chapters_selected": sum(chapter.selected for chapter in self.chapters),
            "characters": self.characters,
            "seconds_estimated": round(self.seconds),
            "hours_estimated": round(self.seconds / 3600, 2),
            "dialogue_voice": self.dialogue_voice,
            "dictionary": dict(self.dictionary),
            "chapters": [
                {
                    "chapter": chapter.number,
                    "title": chapter.title,
                    "selected": chapter.selected,
                    "characters": chapter.characters,
                    "paragraphs": chapter.paragraphs,
                    "voice": chapter.voice,
                    "dialogue_characters": chapter.dialogue_characters,
                    "seconds_estimated": round(chapter.seconds, 1),
                    "first_line": chapter.first_line,
                    "skipped": dict(chapter.skipped),
                }
                for chapter in self.chapters
            ],
            "left_out": [{"title": title, "reason": reason} for title, reason in self.left_out],
            "warnings": [{"code": code, "detail": detail} for code, detail in self.warnings],
        }


def plan_of(book: Book, options: PlanOptions | None = None) -> Plan:
    """Plan a book. Raises :class:`~speech.books.errors.BookError` (``bad_selection``)."""
    options = options or PlanOptions()
    chosen = set(selected(options.selection, len(book.chapters)))
    voices = voices_by_chapter(options.chapter_voices, len(book.chapters))
    chapters = tuple(
        PlannedChapter(
            number=number,
            title=shown_title(chapter, number),
            selected=number in chosen,
            characters=chapter.characters,
            paragraphs=len(chapter.paragraphs),
            seconds=estimate(chapter, options),
            first_line=chapter.paragraphs[0][:FIRST_LINE_CHARACTERS],
            skipped=chapter.skipped,
            voice=voices.get(number, options.voice),
            dialogue_characters=_quoted(chapter) if options.dialogue_voice else 0,
        )
        for number, chapter in enumerate(book.chapters, 1)
    )
    planned = [chapter for chapter in chapters if chapter.selected]
    return Plan(
        title=book.title,
        author=book.author,
        language=book.language,
        cover=book.cover is not None,
        chapters=chapters,
        characters=sum(chapter.characters for chapter in planned),
        seconds=sum(chapter.seconds for chapter in planned),
        left_out=book.left_out,
        warnings=tuple((warning.code, warning.detail) for warning in book.warnings),
        dialogue_voice=options.dialogue_voice,
        dictionary=_occurrences(options.words, (book.chapters[chapter.number - 1] for chapter in planned)),
    )


def estimate(chapter: Chapter, options: PlanOptions) -> float:
    """Guess the seconds of a chapter from its characters, words and pauses."""
    texts = [*([chapter.title] if options.speak_titles and chapter.title else []), *chapter.paragraphs]
    sentences = sum(max(1, round(len(text) / SENTENCE_CHARACTERS)) for text in texts)
    spoken = (sum(map(_spoken_seconds, texts)) + sentences * SENTENCE_EDGE_SECONDS) / options.speed
    silence = (sentences - len(texts)) * options.pauses.sentence + len(texts) * options.pauses.paragraph
    return spoken + (silence + options.pauses.chapter) / 1000


def _quoted(chapter: Chapter) -> int:
    spoken = (part.text for paragraph in chapter.paragraphs for part in passages(paragraph) if part.quoted)
    return sum(not c.isspace() for text in spoken for c in text)


def _occurrences(words: Collection[str], chapters: Iterable[Chapter]) -> dict[str, int]:
    if not words:
        return {}
    texts = [f"{chapter.title}\n{chapter.text}".lower() for chapter in chapters]
    return {word: sum(text.count(word.lower()) for text in texts) for word in words}


def _spoken_seconds(text: str) -> float:
    latin = sum(any(c.isalpha() for c in word) for word in text.split() if word.isascii())
    others = sum(c.isalnum() and not (c.isascii() and c.isalpha()) for c in text)
    return others / CHARACTERS_PER_SECOND + latin / LATIN_WORDS_PER_SECOND
