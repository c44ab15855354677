"""Audiobooks: reading a book, planning it, speaking it chapter by chapter, and joining the chapters.

The way of a book::

    book = read_book("book.epub")
    plan = plan_of(book, PlanOptions(selection="1-3"))
    for number in selected("1-3", len(book.chapters)):
        sentences = script(book.chapters[number - 1], front_end)           # pause_ms is set on each
        chapter = write_chapter(folder, stem, audio, pauses, Making(16000, ["mp3", "m4a"]))
    assemble_m4b("book.m4b", [Part(chapter.files["m4a"], chapter.title), ...], BookTags(book.title, book.author))
"""

from speech.books.building import shown_title
from speech.books.chapter import ChapterAudio, Levels, Making, with_pauses, write_chapter
from speech.books.errors import BookError
from speech.books.loudness import Loudness, Meter
from speech.books.m4b import BookTags, ChapterMark, Part, assemble_m4b
from speech.books.manifest import ChapterEntry, manifest
from speech.books.model import Book, Chapter, Warned
from speech.books.order import chapter_name, natural_key
from speech.books.plan import Plan, PlannedChapter, PlanOptions, plan_of
from speech.books.reading import book_of_chapters, read_book, with_details
from speech.books.script import Pauses, script
from speech.books.selection import selected, voices_by_chapter

__all__ = [
    "Book",
    "BookError",
    "BookTags",
    "Chapter",
    "ChapterAudio",
    "ChapterEntry",
    "ChapterMark",
    "Levels",
    "Loudness",
    "Making",
    "Meter",
    "Part",
    "Pauses",
    "Plan",
    "PlanOptions",
    "PlannedChapter",
    "Warned",
    "assemble_m4b",
    "book_of_chapters",
    "chapter_name",
    "manifest",
    "natural_key",
    "plan_of",
    "read_book",
    "script",
    "selected",
    "shown_title",
    "voices_by_chapter",
    "with_details",
    "with_pauses",
    "write_chapter",
]
