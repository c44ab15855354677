"""Markdown: headings to chapters, running text to paragraphs; code, tables, pictures and notes are not read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from speech.books.building import Draft, Facts, build
from speech.books.charset import decode_text
from speech.books.model import Book, Warned
from speech.books.tidy import tidy

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)\r?\n(?:---|\.\.\.)[ \t]*\r?\n", re.DOTALL)
_NOTE_MARK = re.compile(r"\[\^[^\]\s]+\]")
_NOTE = re.compile(r"^\[\^[^\]\s]+\]:[^\n]*(?:\n(?:[ ]{2,}|\t)[^\n]+)*", re.MULTILINE)
_LONGEST_FRONT_MATTER = 20_000


def read_markdown(data: bytes) -> Book:
    """Read a Markdown text: CommonMark, tables, footnotes ``[^1]``, YAML front matter with title, author, language."""
    decoded = decode_text(data)
    facts = Facts()
    if decoded.lost:
        facts.warnings.append(Warned("undecodable", f"{decoded.lost} characters are not valid {decoded.encoding}"))
    skipped: Counter[str] = Counter()
    text = _without_notes(_front_matter(decoded.text, facts), skipped)
    blocks = _blocks(MarkdownIt("commonmark").enable("table").parse(text), skipped)
    drafts = _drafts(blocks, facts)
    drafts[0].skipped.update(skipped)
    return build(drafts, facts)


def _front_matter(text: str, facts: Facts) -> str:
    match = _FRONT_MATTER.match(text)
    if match is None or len(match["yaml"]) > _LONGEST_FRONT_MATTER or "&" in match["yaml"]:
        return text
    try:
        values = yaml.safe_load(match["yaml"])
    except yaml.YAMLError as error:
        facts.warnings.append(Warned("bad_front_matter", f"the front matter is not valid YAML and is ignored: {error}"))
        values = None
    if isinstance(values, dict):
        facts.title = _value(values, "title")
        facts.author = _value(values, "author", "authors")
        facts.language = _value(values, "lang", "language")
    return text[match.end() :]


def _value(values: dict[object, object], *names: str) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return ", ".join(str(each) for each in value)
    return ""


def _without_notes(text: str, skipped: Counter[str]) -> str:
    text, notes = _NOTE.subn("", text)
    text, marks = _NOTE_MARK.subn("", text)
    skipped["footnotes"] += notes
    skipped["footnote_marks"] += marks
    return text


def _blocks(tokens: Sequence[Token], skipped: Counter[str]) -> list[tuple[str, int]]:
    """Return (text, heading level or 0) of what is read aloud."""
    blocks: list[tuple[str, int]] = []
    level = tables = 0
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "heading_close":
            level = 0
        elif token.type == "table_open":
            tables += 1
            skipped["tables"] += 1
        elif token.type == "table_close":
            tables -= 1
        elif token.type in {"fence", "code_block"}:
            skipped["code"] += 1
        elif token.type == "inline" and not tables:
            lines = map(tidy, _inline(token, skipped).split("\x00"))
            blocks.extend((line, level) for line in lines if line)
    return blocks


def _inline(token: Token, skipped: Counter[str]) -> str:
    parts: list[str] = []
    for child in token.children or ():
        if child.type in {"text", "code_inline", "text_special"}:
            parts.append(child.content)
        elif child.type == "softbreak":
            parts.append("\n")
        elif child.type == "hardbreak" or (child.type == "html_inline" and child.content.lower().startswith("<br")):
            parts.append("\x00")
        elif child.type == "image":
            skipped["images"] += 1
    return "".join(parts)


def _drafts(blocks: Sequence[tuple[str, int]], facts: Facts) -> list[Draft]:
    """Cut at the chapters' heading; a single heading above them is the title of the book."""
    levels = Counter(level for _, level in blocks if level)
    cut = _chapter_level(blocks, levels)
    drafts = [Draft()]
    for text, level in blocks:
        if 0 < level < cut and levels[level] == 1 and not facts.title and len(drafts) == 1:
            facts.title = text
        elif 0 < level <= cut:
            drafts.append(Draft(title=text, depth=level))
        else:
            drafts[-1].blocks.append((text, level))
    return drafts


def _chapter_level(blocks: Sequence[tuple[str, int]], levels: Counter[int]) -> int:
    """Return the highest heading that comes more than once and is not always followed by another one (a part)."""
    repeated = [level for level in sorted(levels) if levels[level] > 1]
    for level in repeated:
        if not all(after > level for (_, here), (_, after) in pairwise([*blocks, ("", 0)]) if here == level):
            return level
    return min(levels, default=0) if not repeated else repeated[-1]
