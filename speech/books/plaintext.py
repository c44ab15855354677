"""Plain text: its encoding, what stands around it, its chapters and paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from speech.books.building import NOT_READ, Draft, Facts, build
from speech.books.charset import decode_text
from speech.books.headings import find_headings
from speech.books.model import Book, Warned
from speech.books.tidy import CJK, tidy

_SENTENCE_END = re.compile(r"[。！？!?…；;：:.”’」』\"'—)）]\s*$")
_DEDICATION = re.compile(r"[献獻]给|[献獻]給|谨以|謹以|dedicated ", re.IGNORECASE)
_TITLE_LINE = re.compile(r"\s*(?:书名|書名|title)\s*[:：]\s*(?P<it>.+)", re.IGNORECASE)
_AUTHOR_LINE = re.compile(r"\s*(?:作者|author|by)\s*[:：]\s*(?P<it>.+)", re.IGNORECASE)
_BRACKETED = re.compile(r"\s*《(?P<title>[^》]{1,80})》\s*(?:作者\s*[:：]?\s*(?P<author>.{1,40}))?\s*")
_GUTENBERG_START = re.compile(r"^\*\*\*\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE | re.IGNORECASE)
_GUTENBERG_END = re.compile(r"^\*\*\*\s*END OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE | re.IGNORECASE)
LONGEST_CHAPTER = 50_000
"""Characters from which on a book of one chapter is taken for one whose headings were not found; some 3.5 hours."""
HEAD_LINES = 30
"""Lines at the start in which title and author are looked for."""


def read_plain(data: bytes) -> Book:
    """Read a plain text. Raises :class:`~speech.books.errors.BookError` if it is empty or over the limits."""
    decoded = decode_text(data)
    facts = Facts()
    if decoded.lost:
        facts.warnings.append(
            Warned("undecodable", f"{decoded.lost} characters are not valid {decoded.encoding} and are left out")
        )
    lines = _body(decoded.text, facts).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    book = build(_drafts(lines, facts), facts)
    if len(book.chapters) == 1 and book.characters > LONGEST_CHAPTER:
        why = (
            f"only one chapter was found in {book.characters} characters; put each heading on a line of its own, such "
            "as 第一章 or Chapter 1, or give the chapters as JSON"
        )
        return replace(book, warnings=(*book.warnings, Warned("one_chapter", why)))
    return book


def paragraphs_of(text: str) -> list[str]:
    """Cut running text into paragraphs: lines, or, where lines are broken to a width, what blank lines part."""
    return list(_paragraphs(text.replace("\r\n", "\n").replace("\r", "\n").split("\n")))


def _body(text: str, facts: Facts) -> str:
    """Take off the licence around a Project Gutenberg text and read title and author."""
    start = _GUTENBERG_START.search(text)
    head = text[: start.start()] if start else "\n".join(text.split("\n", HEAD_LINES)[:HEAD_LINES])
    for line in head.split("\n"):
        title, author, bracketed = _TITLE_LINE.fullmatch(line), _AUTHOR_LINE.fullmatch(line), _BRACKETED.fullmatch(line)
        if title and not facts.title:
            facts.title = tidy(title["it"]).strip("《》")
        if author and not facts.author:
            facts.author = tidy(author["it"])
        if bracketed and not facts.title:
            facts.title, facts.author = tidy(bracketed["title"]), tidy(bracketed["author"] or "") or facts.author
    end = _GUTENBERG_END.search(text)
    return text[start.end() if start else 0 : end.start() if end else len(text)]


# --- chapters


def _drafts(lines: Sequence[str], facts: Facts) -> list[Draft]:
    found = find_headings(lines)
    edges = [*found, len(lines)]
    drafts = [Draft(blocks=_blocks(lines[: edges[0]]))]
    headings = list(found.values())
    bodies = [_blocks(lines[at + 1 : end]) for at, end in pairwise(edges)]
    last_told = {heading.title.casefold(): index for index, heading in enumerate(headings) if bodies[index]}
    for index, (heading, blocks) in enumerate(zip(headings, bodies, strict=True)):
        listed = last_told.get(heading.title.casefold(), -1) > index
        over_the_next = heading.kind == "part" and any(bodies[index + 1 : index + 2]) and headings[index + 1].depth > 0
        if heading.doubtful and not (blocks or listed or over_the_next):
            drafts[-1].blocks.extend(_blocks([lines[edges[index]]]))  # nothing stands below it: it may well be prose
        else:
            drafts.append(Draft(title=heading.title, depth=heading.depth, blocks=blocks))
    _drop_head(drafts, facts)
    return drafts


def _blocks(lines: Sequence[str]) -> list[tuple[str, int]]:
    return [(paragraph, 0) for paragraph in _paragraphs(lines)]


def _drop_head(drafts: list[Draft], facts: Facts) -> None:
    """Lines that say title and author, or that a table of contents follows, are no chapter of their own."""
    if len(drafts) < 2:
        return
    told = (_TITLE_LINE, _AUTHOR_LINE, _BRACKETED, NOT_READ)
    head = [(text, level) for text, level in drafts[0].blocks if not any(line.fullmatch(text) for line in told)]
    if len(head) == 1 and not facts.title and _is_title(head[0][0]):
        facts.title = head.pop()[0]
    drafts[0].blocks = head


def _is_title(text: str) -> bool:
    """Tell a line that stands alone before the first chapter from a dedication and from prose, which are read."""
    return len(text) <= 40 and text[-1] not in '。！？!?…；;，,：:.”"' and _DEDICATION.match(text) is None


# --- paragraphs


def _paragraphs(lines: Sequence[str]) -> Iterable[str]:
    if not _is_broken_to_width(lines):
        yield from (text for line in lines if (text := tidy(line)))
        return
    held: list[str] = []
    for line in [*lines, ""]:
        indented = bool(re.match(r"\s{2,}|[\t　]", line))
        if held and (not line.strip() or indented):
            if text := tidy("\n".join(held)):
                yield text
            held = []
        if line.strip():
            held.append(line)


def _is_broken_to_width(lines: Sequence[str]) -> bool:
    """Tell whether lines end at a width and not where a paragraph ends."""
    followed = [line for line, after in pairwise(lines) if line.strip() and after.strip()]
    if len(followed) < 3:
        return False
    open_ended = sum(not _SENTENCE_END.search(line) for line in followed)
    wide = median(len(line) * (2 if re.search(f"[{CJK}]", line) else 1) for line in followed)
    return open_ended > len(followed) / 2 and wide >= 40
