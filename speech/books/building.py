"""From headings and paragraphs, whatever they were read from, to the chapters of a book."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from speech.books.errors import BookError
from speech.books.model import MAX_CHAPTERS, MAX_CHARACTERS, Book, Chapter, Warned
from speech.books.tidy import bare_title, repeats, speakable, tidy

NOT_READ = re.compile(
    r"目\s*[录錄次]|版权(?:页|信息|声明)?|版權(?:頁|信息|聲明)?|封面|封底|书名页|扉页|cover|title\s*page|(?:table\s+of\s+)?contents|copyright(?:\s+page)?|"
    r"index|landmarks",
    re.IGNORECASE,
)
"""Titles of pages that nobody wants to hear."""


@dataclass
class Draft:
    """A chapter in the making. ``blocks`` are (text, heading level or 0); ``depth`` is its level in the contents.

    ``left_out`` is the reason why the whole of it is not read, if so.
    """

    title: str = ""
    depth: int = 0
    blocks: list[tuple[str, int]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: str | None = None
    paragraphs: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


@dataclass
class Facts:
    """What is known of a book beside its text."""

    title: str = ""
    author: str = ""
    language: str = ""
    cover: bytes | None = None
    warnings: list[Warned] = field(default_factory=list)


def build(drafts: Sequence[Draft], facts: Facts) -> Book:
    """Make the book: titles found and not read twice, empty chapters dropped with a warning, parts joined.

    Raises :class:`BookError`: ``empty_book`` if nothing can be read, ``book_too_big`` over the limits.
    """
    for draft in drafts:
        _settle(draft)
    _place(drafts)
    left_out: list[tuple[str, str]] = []
    chapters: list[Chapter] = []
    pending: list[Draft] = []
    last_told = {draft.title.casefold(): index for index, draft in enumerate(drafts) if draft.paragraphs}
    for index, draft in enumerate(drafts):
        if draft.left_out or (draft.title and NOT_READ.fullmatch(draft.title.strip())):
            left_out.append((draft.title, draft.left_out or "by its title not part of the text"))
        elif draft.paragraphs:
            chapters.append(_chapter(draft, pending))
            pending = []
        elif draft.title and index + 1 < len(drafts) and drafts[index + 1].depth > draft.depth:
            pending.append(draft)  # the head of a part: the next chapter lies inside it
        elif draft.title and last_told.get(draft.title.casefold(), -1) > index:
            # The same title comes again with a text, so this is a line of a printed table of contents.
            left_out.append((draft.title, "table of contents"))
        elif draft.title or any(draft.skipped.values()):
            facts.warnings.append(_empty(draft))
    if len(chapters) > 1 and not chapters[0].title and all(chapter.title for chapter in chapters[1:]):
        chapters[0] = replace(chapters[0], opening=True)
    return _book(chapters, facts, left_out)


def build_as_given(chapters: Iterable[tuple[str, Sequence[str]]], facts: Facts) -> Book:
    """Make the book of chapters that someone named, (title, paragraphs): all of them, numbered as they were given.

    Raises :class:`BookError`: ``empty_chapter`` names one that holds no text, ``book_too_big`` over the limits.
    """
    made: list[Chapter] = []
    for index, (title, paragraphs) in enumerate(chapters):
        draft = Draft(title=title, blocks=[(text, 0) for text in paragraphs if speakable(text)])
        told = tuple(text for text, _ in draft.blocks)
        if not told:
            raise BookError(
                f"chapters[{index}].text: holds nothing that can be read aloud; give it a text or leave it out",
                code="empty_chapter",
            )
        _settle(draft)
        draft.paragraphs = draft.paragraphs or told
        made.append(_chapter(draft, ()))
    return _book(made, facts, ())


def _book(chapters: Sequence[Chapter], facts: Facts, left_out: Sequence[tuple[str, str]]) -> Book:
    _limits(chapters)
    return Book(
        title=tidy(facts.title),
        author=tidy(facts.author),
        language=facts.language.strip() or ("zh" if _is_chinese(chapters) else ""),
        chapters=tuple(chapters),
        cover=facts.cover,
        warnings=tuple(facts.warnings),
        left_out=tuple(left_out),
    )


def shown_title(chapter: Chapter, number: int) -> str:
    """Return a title for chapter marks: the chapter's, or, in the language of its text, its number or that it opens."""
    if chapter.title:
        return chapter.title
    chinese = any("\u3400" <= c <= "\u9fff" for p in chapter.paragraphs[:3] for c in p)
    if chapter.opening:
        return "开篇" if chinese else "Opening"
    return f"第{number}章" if chinese else f"Chapter {number}"


def _is_chinese(chapters: Sequence[Chapter]) -> bool:
    """Judge by the beginning of each chapter, of which other parts may be quotations."""
    sample = "".join(chapter.text[:500] for chapter in chapters[:50])
    return sum("\u3400" <= c <= "\u9fff" for c in sample) > 0.3 * max(1, sum(c.isalnum() for c in sample))


def _settle(draft: Draft) -> None:
    """Find the title if there is none, and take the headings that only repeat it out of the paragraphs."""
    blocks = [(text, level) for text, level in draft.blocks if speakable(text)]
    if not draft.title and blocks and blocks[0][1]:
        draft.title = blocks[0][0]
    draft.title = tidy(draft.title)
    start = max(_repeated(blocks, draft.title), _in_pieces(blocks, draft.title))
    draft.paragraphs = tuple(text for text, _ in blocks[start:])
    draft.blocks = []


def _repeated(blocks: Sequence[tuple[str, int]], title: str) -> int:
    """Count the blocks at the start each of which only repeats the title: headings, and the first if it has it all."""
    whole = bare_title(title)
    for index, (text, level) in enumerate(blocks):
        has_it_all = index == 0 and len(text) >= len(title) * 0.8
        if not (level > 0 or has_it_all) or not repeats(bare_title(text), whole):
            return index
    return len(blocks)


def _in_pieces(blocks: Sequence[tuple[str, int]], title: str) -> int:
    """Count the blocks at the start that only together are the title: 第一章, and 小屋 in a line of its own."""
    whole = bare_title(title)
    told = 0
    for count, (text, _) in enumerate(blocks, 1):
        piece = bare_title(text)
        if not piece or not whole.startswith(piece, told):
            return 0
        told += len(piece)
        if told == len(whole):
            return count
    return 0


def _place(drafts: Sequence[Draft]) -> None:
    """Give each chapter the titles of the parts it lies in."""
    path: list[tuple[int, str]] = []
    for draft in drafts:
        while path and path[-1][0] >= draft.depth:
            path.pop()
        draft.parents = tuple(title for _, title in path if title)
        path.append((draft.depth, draft.title))


def _chapter(draft: Draft, parts: Sequence[Draft]) -> Chapter:
    heads = [part.title for part in parts if part.title in draft.parents]
    skipped = sum((part.skipped for part in parts), draft.skipped.copy())
    return Chapter(
        title=" ".join([*heads, draft.title]).strip(),
        paragraphs=draft.paragraphs,
        parents=draft.parents,
        skipped={name: count for name, count in sorted(skipped.items()) if count},
    )


def _empty(draft: Draft) -> Warned:
    held = ", ".join(f"{count} {name}" for name, count in sorted(draft.skipped.items()) if count)
    why = f"it holds only {held}" if held else "it holds no text"
    return Warned("empty_chapter", f"“{draft.title or 'a page'}” is left out: {why}", draft.title or None)


def _limits(chapters: Sequence[Chapter]) -> None:
    if not chapters:
        raise BookError(
            "the book holds no text that can be read aloud; if its pages are pictures, it needs character recognition "
            "first",
            code="empty_book",
        )
    if len(chapters) > MAX_CHAPTERS:
        raise BookError(
            f"the book has {len(chapters)} chapters; the limit is {MAX_CHAPTERS}. Split it, or give coarser headings",
            code="book_too_big",
        )
    characters = sum(chapter.characters for chapter in chapters)
    if characters > MAX_CHARACTERS:
        raise BookError(
            f"the book has {characters} characters; the limit is {MAX_CHARACTERS}. Split it into volumes",
            code="book_too_big",
        )
