"""Markdown: headings to chapters, running text to paragraphs; code, tables, pictures and notes are not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from speech.books.building import Draft, Facts, build
from speech.books.charset import decode_text
from speech.books.front_matter import take_front_matter
from speech.books.markdown_notes import count_notes, without_marks
from speech.books.model import Book, Warned
from speech.books.page import read_page
from speech.books.tidy import same_title, tidy


@dataclass(frozen=True)
class _Piece:
    """A paragraph or heading (``level`` 1–6), or, without text, a count of what is not read at this place."""

    text: str = ""
    level: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_markdown(data: bytes) -> Book:
    """Read a Markdown text: CommonMark, tables, footnotes ``[^1]``, YAML front matter with title, author, language."""
    decoded = decode_text(data)
    facts = Facts()
    if decoded.lost:
        facts.warnings.append(Warned("undecodable", f"{decoded.lost} characters are not valid {decoded.encoding}"))
    text = take_front_matter(decoded.text, facts)
    parser = MarkdownIt("commonmark").enable("table").use(count_notes)
    return build(_drafts([*_pieces(parser.parse(text))], facts), facts)


def _pieces(tokens: Sequence[Token]) -> Iterator[_Piece]:
    """Yield what is read aloud, and between it the counts of what is not."""
    level = tables = 0
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "table_open":
            tables += 1
            yield _Piece(skipped={"tables": 1})
        elif token.type == "table_close":
            tables -= 1
        elif token.type in {"fence", "code_block"}:
            yield _Piece(skipped={"code": 1})
        elif token.type == "note":
            yield _Piece(skipped={"footnotes": 1})
        elif token.type == "html_block":
            yield from _of_html(token.content)
        elif token.type == "inline" and not tables:
            yield from _of_inline(token, level)


def _of_html(markup: str) -> Iterator[_Piece]:
    """Read a block of HTML as a page of a book is read."""
    markup, marks = without_marks(markup)
    page = read_page(markup.encode("utf-8-sig"))
    skipped = page.skipped()
    for index, block in enumerate(page.blocks):
        yield _Piece(block.text, block.level, skipped.pop(index, {}))
    yield _Piece(skipped=skipped.get(0, Counter()) + Counter(footnote_marks=marks))  # of a page without text


def _of_inline(token: Token, level: int) -> Iterator[_Piece]:
    skipped: Counter[str] = Counter()
    for line in map(tidy, _inline(token, skipped).split("\x00")):
        if line:
            yield _Piece(line, level)
    yield _Piece(skipped=skipped)


def _inline(token: Token, skipped: Counter[str]) -> str:
    parts: list[str] = []
    for child in token.children or ():
        if child.type in {"text", "code_inline", "text_special"}:
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append("\n")
        elif child.type == "hardbreak" or (child.type == "html_inline" and child.content.lower().startswith("<br")):
            parts.append("\x00")
        elif child.type == "image" or (child.type == "html_inline" and child.content.lower().startswith("<img")):
            skipped["images"] += 1
        elif child.type == "note_mark":
            skipped["footnote_marks"] += 1
    return "".join(parts)


def _drafts(pieces: Sequence[_Piece], facts: Facts) -> list[Draft]:
    """Cut at the chapters' heading; a single heading above them is the title of the book."""
    levels = Counter(piece.level for piece in pieces if piece.level)
    cut = _chapter_level(pieces, levels)
    drafts = [Draft()]
    for piece in pieces:
        text, level = piece.text, piece.level
        above = 0 < level < cut and levels[level] == 1 and len(drafts) == 1
        if above and (not facts.title or same_title(text, facts.title)):
            facts.title = facts.title or text
        elif 0 < level <= cut:
            drafts.append(Draft(title=text, depth=level))
        elif text:
            drafts[-1].blocks.append((text, level))
        drafts[-1].skipped.update(piece.skipped)
    return drafts


def _chapter_level(pieces: Sequence[_Piece], levels: Counter[int]) -> int:
    """Return the highest heading that comes more than once and is not always followed by another one (a part)."""
    told = [*(piece.level for piece in pieces if piece.text), 0]
    repeated = [level for level in sorted(levels) if levels[level] > 1]
    for level in repeated:
        if not all(after > level for here, after in pairwise(told) if here == level):
            return level
    return min(levels, default=0) if not repeated else repeated[-1]
