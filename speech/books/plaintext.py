"""Plain text: its encoding, its headings (第三章, Chapter 3, numbered lines), its paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from statistics import median

from speech.books.building import Draft, Facts, build
from speech.books.charset import decode_text
from speech.books.model import Book, Warned
from speech.books.tidy import CJK, speakable, tidy

_NUMBER = r"[0-9０-９零〇一二三四五六七八九十百千两兩]+"
_END = r"[。！？!?；;，,]"
_PART = re.compile(rf"\s*(?:第\s*{_NUMBER}\s*[卷部篇集]|[卷部]{_NUMBER})(?P<rest>.*)")
_CHAPTER = re.compile(rf"\s*第\s*{_NUMBER}\s*[章回节節话話幕折](?P<rest>.*)")
_SPECIAL = re.compile(
    r"\s*(?:序|序章|序言|自序|前言|楔子|引子|引言|导言|導言|尾声|尾聲|后记|後記|跋|终章|終章|结语|結語|附录|附錄|番外)"
    r"(?P<rest>[\s　:：、一二三四五六七八九十\d].{0,30})?"
)
_ENGLISH_PART = re.compile(r"\s*(?:part|book|volume)\s+(?:[0-9]+|[ivxlcdm]+|[a-z]+)(?P<rest>\b.*)", re.IGNORECASE)
_ENGLISH = re.compile(
    r"\s*(?:chapter\s+(?:[0-9]+|[ivxlcdm]+|[a-z]+(?:-[a-z]+)?)|prologue|epilogue|preface|foreword|introduction|afterword)"
    r"(?P<rest>\b.*|$)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\s*(?P<number>[0-9]{1,4}|[一二三四五六七八九十百]+)(?:\s*[.．、:：]\s*|\s+|$)(?P<rest>.*)")
_SEPARATOR = re.compile(r"\s*[\s　:：、，,.．·—–-]\s*")
_CHINESE_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")}
_SENTENCE_END = re.compile(r"[。！？!?…；;：:.”’」』\"'—)）]\s*$")
_TITLE_LINE = re.compile(r"\s*(?:书名|書名|title)\s*[:：]\s*(?P<it>.+)", re.IGNORECASE)
_AUTHOR_LINE = re.compile(r"\s*(?:作者|author|by)\s*[:：]\s*(?P<it>.+)", re.IGNORECASE)
_BRACKETED = re.compile(r"\s*《(?P<title>[^》]{1,80})》\s*(?:作者\s*[:：]?\s*(?P<author>.{1,40}))?\s*")
_GUTENBERG_START = re.compile(r"^\*\*\*\s*START OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE | re.IGNORECASE)
_GUTENBERG_END = re.compile(r"^\*\*\*\s*END OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE | re.IGNORECASE)
LONGEST_HEADING = 60
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
    return build(_drafts(lines, facts), facts)


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


# --- headings


def _drafts(lines: Sequence[str], facts: Facts) -> list[Draft]:
    heading = _heading_rule(lines)
    drafts = [Draft()]
    held: list[str] = []

    def close() -> None:
        drafts[-1].blocks.extend((paragraph, 0) for paragraph in _paragraphs(held))
        held.clear()

    for line in lines:
        depth = heading(line)
        if depth is None:
            held.append(line)
            continue
        close()
        drafts.append(Draft(title=tidy(line).rstrip("。．."), depth=depth))
    close()
    _drop_head(drafts, facts)
    return drafts


def _drop_head(drafts: list[Draft], facts: Facts) -> None:
    """Lines that say title and author are no chapter of their own."""
    if len(drafts) < 2:
        return
    drafts[0].blocks = [
        (text, level)
        for text, level in drafts[0].blocks
        if not (_TITLE_LINE.fullmatch(text) or _AUTHOR_LINE.fullmatch(text) or _BRACKETED.fullmatch(text))
    ]
    if len(drafts[0].blocks) == 1 and len(drafts[0].blocks[0][0]) <= 40 and not facts.title:
        facts.title = drafts[0].blocks.pop()[0]


def _heading_rule(lines: Sequence[str]) -> Callable[[str], int | None]:
    """Choose how headings look in this text: by words, else by a rising count, else not at all."""
    if any(_worded(line) is not None for line in lines):
        return _worded
    numbered = _rising(lines)
    return lambda line: 1 if line in numbered else None


def _worded(line: str) -> int | None:
    """Return the depth of a heading that says so (0: part, 1: chapter), or None."""
    if not line.strip() or len(line.strip()) > LONGEST_HEADING:
        return None
    for pattern, depth in ((_PART, 0), (_CHAPTER, 1), (_SPECIAL, 1), (_ENGLISH_PART, 0), (_ENGLISH, 1)):
        match = pattern.fullmatch(line)
        if match is not None:
            return depth if _is_name(match["rest"] or "", english=pattern in {_ENGLISH, _ENGLISH_PART}) else None
    return None


def _is_name(rest: str, *, english: bool) -> bool:
    """Tell a chapter's name (``第三章 小屋``) from prose that begins like one (``第三章讲的是……。``)."""
    bare = rest.strip()
    if not bare:
        return True
    separated = _SEPARATOR.match(rest) is not None
    name = _SEPARATOR.sub("", rest, count=1) if separated else bare
    if english:
        return separated and (not name or not name[0].islower()) and not name.endswith((",", ";"))
    inside = name.rstrip("。")
    if re.search(r"[。；;]", inside) or name.endswith(("，", ",", "：", ":", "、")):
        return False
    return separated or (len(name) <= 20 and not re.search(_END, name))


def _rising(lines: Sequence[str]) -> frozenset[str]:
    """Find numbered lines that count 1, 2, 3 … through the whole text, each alone or short and after a blank line."""
    found: list[str] = []
    blank = True
    for line in lines:
        match = _NUMBERED.fullmatch(line)
        if match is not None and blank and len(line.strip()) <= 40 and _number(match["number"]) == len(found) + 1:
            rest = match["rest"].strip()
            if not re.search(rf"{_END}$|\.$", rest) and (rest == "" or speakable(rest)):
                found.append(line)
        blank = not line.strip()
    return frozenset(found) if len(found) >= 2 else frozenset()


def _number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    value = digit = 0
    for character in text:
        if character == "百":
            value, digit = value + (digit or 1) * 100, 0
        elif character == "十":
            value, digit = value + (digit or 1) * 10, 0
        else:
            digit = _CHINESE_DIGITS[character]
    return value + digit


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
