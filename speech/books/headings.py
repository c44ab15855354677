"""Which lines of a plain text are headings: 第三章 小屋, Chapter 3, （三）, III. and what stands around chapters.

A line that says 第三章 or Chapter 3 is believed, unless it reads like prose. What says less (a bare number, a name
before 第3章, a name that ends in a question mark) is believed only where it counts on from the one before.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

from speech.books.tidy import speakable, tidy

LONGEST_HEADING = 60
LONGEST_NUMBERED = 40
_ORNAMENTS = "☆★※◆◇●○■□▲△#＃*＊=＝~～_—–-、· "
_NUMBER = r"[0-9０-９零〇一二三四五六七八九十百千两兩]+"
_COUNT = rf"第\s*(?P<first>{_NUMBER})(?:\s*[-–—~～、至到]\s*(?P<last>{_NUMBER}))?\s*"
_BEFORE = rf"(?:正文卷?|[{re.escape(_ORNAMENTS)}【〖［\[])*"
_PART = re.compile(rf"{_BEFORE}(?:{_COUNT}(?P<unit>[卷部篇集])|[卷部]{_NUMBER})(?P<rest>.*)")
_CHAPTER = re.compile(rf"{_BEFORE}{_COUNT}(?P<unit>[章回节節话話幕折])(?P<rest>.*)")
_SPECIAL = re.compile(
    rf"{_BEFORE}(?:序|序章|序幕|序言|自序|前言|楔子|引子|引言|导言|導言|尾声|尾聲|后记|後記|跋|终章|終章|大结局|大結局|"
    r"结语|結語|完结感言|完結感言|附录|附錄|番外篇?)(?P<rest>[\s:：、】〗］\]（(一二三四五六七八九十\d].{0,30})?"
)
_SIDE_STORY = re.compile(rf"{_BEFORE}番外篇?(?P<rest>之.{{1,20}})")
_ENGLISH_PART = re.compile(rf"{_BEFORE}(?:part|book|volume)\s+(?P<count>[0-9]+|[a-z]+)(?P<rest>\b.*)", re.IGNORECASE)
_ENGLISH = re.compile(
    rf"{_BEFORE}(?:chapter\s+(?P<count>[0-9]+|[a-z]+(?:-[a-z]+)?)|(?:chap|ch)(?:\.\s*|\s+)(?:[0-9]+|[ivxlcdm]+)"
    r"|(?:adventure|canto|letter|stave)\s+(?:[0-9]+|[ivxlcdm]+|one|two|three|four|five))"
    r"(?P<rest>\b.*|$)",
    re.IGNORECASE,
)
_ENGLISH_SPECIAL = re.compile(
    rf"{_BEFORE}(?:prologue|epilogue|preface|foreword|introduction|afterword)(?P<rest>\b.*|$)", re.IGNORECASE
)
Kind = Literal["part", "chapter", "other"]
_FORMS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_PART, "part"),
    (_CHAPTER, "chapter"),
    (_SPECIAL, "other"),
    (_SIDE_STORY, "other"),
    (_ENGLISH_PART, "part"),
    (_ENGLISH, "chapter"),
    (_ENGLISH_SPECIAL, "other"),
)
_ENGLISH_NUMBER = re.compile(
    r"[0-9]+|[a-z]|m{0,4}(?:cm|cd|d?c{0,4})(?:xc|xl|l?x{0,4})(?:ix|iv|v?i{0,4})|zero|one|two|three|five|nine|ten|eleven|"
    r"twelve|(?:four|six|seven|eight?)(?:|th|teen|teenth)|(?:thir|fif|nine)teen(?:th)?|hundred(?:th)?|first|second|third|"
    r"fifth|ninth|(?:ten|eleven|twelf)th|(?:twen|thir|for|fif|six|seven|eigh|nine)t(?:y|ieth)|last|final",
    re.IGNORECASE,
)
_ENGLISH_FORMS = {_ENGLISH_PART, _ENGLISH, _ENGLISH_SPECIAL}
_NUMBERED = re.compile(
    r"(?P<open>[（(]\s*)?(?P<number>[0-9]{1,4}|[零〇一二三四五六七八九十百]+|[IVXLCDM]{1,9})"
    r"(?(open)\s*[）)]\s*|(?P<mark>\s*[.．、:：]\s*|\s+|$))(?P<rest>.*)"
)
_WITH_NAME_BEFORE = re.compile(r"(?P<name>《[^》]{1,30}》|[^。！？!?，,；;：:…“”\"]{1,30}?\s)\s*(?P<heading>第.*)")
_SEPARATOR = re.compile(r"\s*[\s:：、，,.．·—–】〗］\]-]\s*")
_SET_APART = re.compile(r"\s*[\s:：.．·—–】〗］\]-]")
_ENDS = r"[。！？!?；;，,]"
_SURE = "章卷"
"""What nothing but books is counted in; 第一回 is also `the first time`, 第一节 a lesson, 第一部 a film."""
_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


@dataclass(frozen=True)
class Heading:
    """A heading. What is ``doubtful`` may be prose: if nothing stands below it, it must not be lost."""

    title: str
    kind: Kind
    doubtful: bool = False

    @property
    def depth(self) -> int:
        """Its level in the contents: 0 for a part, 1 for what lies in it."""
        return 0 if self.kind == "part" else 1


def find_headings(lines: Sequence[str]) -> dict[int, Heading]:
    """Return the headings among the lines of a text, by the index of their line, in order."""
    texts = [tidy(line) if len(line) <= 4 * LONGEST_HEADING else line.strip() for line in lines]
    found = {at: heading for at, text in enumerate(texts) if (heading := _worded(text)) is not None}
    found |= _after_a_name(texts, found)
    found |= _counted_on(texts, found)
    if not any(heading.kind == "chapter" for heading in found.values()):
        found |= _rising(texts, found)
    return dict(sorted(found.items()))


# --- headings that say so


def _worded(text: str) -> Heading | None:
    if not text or len(text) > LONGEST_HEADING:
        return None
    for pattern, kind in _FORMS:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        rest = match["rest"] or ""
        if pattern in _ENGLISH_FORMS:
            word = match.groupdict().get("count") or "1"
            counted = all(map(_ENGLISH_NUMBER.fullmatch, word.split("-")))
            named = counted or not word[0].islower() or any(c.isupper() for c in rest)  # “Part ways” is neither
            return _heading(text, kind, doubtful=not counted) if named and _is_english_name(rest) else None
        sure = kind != "other" and (match["unit"] or "卷") in _SURE
        doubtful = not sure and kind != "other" and bool(rest.strip()) and _SET_APART.match(rest) is None
        return _heading(text, kind, doubtful=doubtful) if _is_name(rest, sure=sure) else None
    return None


def _heading(text: str, kind: Kind, *, doubtful: bool = False) -> Heading:
    return Heading(text.strip(_ORNAMENTS).rstrip("。．."), kind, doubtful)


def _is_name(rest: str, *, sure: bool) -> bool:
    """Tell a chapter's name (``第三章 小屋``) from prose that begins like one (``第三章讲的是……。``)."""
    bare = rest.strip()
    if not bare:
        return True
    separator = _SEPARATOR.match(rest)
    name = rest[separator.end() :] if separator else bare
    if re.search(r"[。；;]", name.rstrip("。")) or name.endswith(("，", ",", "：", ":", "、")):
        return False
    if separator is None:
        return len(name) <= 20 and not re.search(_ENDS, name)
    by_comma = separator[0].strip() in {"，", ",", "、"}
    if by_comma and (name.startswith("第") or (not sure and name.endswith(tuple("。！？!?…")))):
        return False
    return (sure and not by_comma) or not (name.endswith("。") and re.search(r"[，,]", name))


def _is_english_name(rest: str) -> bool:
    if not rest.strip():
        return True
    separator = _SEPARATOR.match(rest)
    name = rest[separator.end() :] if separator else ""
    return separator is not None and (not name or not name[0].islower()) and not name.endswith((",", ";"))


# --- headings that are believed for their place in a count


class _Count(NamedTuple):
    """第3-4章: its unit, 3 and 4."""

    unit: str
    first: int
    last: int


def _count(text: str) -> _Count | None:
    match = _CHAPTER.fullmatch(text)
    if match is None:
        return None
    return _Count(match["unit"], number_of(match["first"]), number_of(match["last"] or match["first"]))


def _after_a_name(texts: Sequence[str], found: Mapping[int, Heading]) -> dict[int, Heading]:
    """Find ``小河 第1章 …``, ``小河 第2章 …``: the same name, most often the book's, before chapters that count up."""
    by_name: dict[str, dict[int, _Count]] = defaultdict(dict)
    for at, text in enumerate(texts):
        if at in found or len(text) > LONGEST_HEADING:
            continue
        match = _WITH_NAME_BEFORE.fullmatch(text)
        heading = _worded(match["heading"]) if match else None
        if match and heading and heading.kind == "chapter" and (count := _count(match["heading"])):
            by_name[match["name"].strip()][at] = count
    return {
        at: _heading(texts[at], "chapter")
        for counts in by_name.values()
        if any(after.first == before.last + 1 for before, after in pairwise(counts.values()))
        for at in counts
    }


def _counted_on(texts: Sequence[str], found: Mapping[int, Heading]) -> dict[int, Heading]:
    """Find ``第10章你好吗？`` where it alone is missing between 第9章 and 第11章."""
    known = [(at, count) for at, heading in sorted(found.items()) if (count := _count(texts[at]))]
    more: dict[int, Heading] = {}
    last: dict[int, int] = {}  # of those found here, the last number by the place of the known one before
    for at, text in enumerate(texts):
        if at in found or len(text) > LONGEST_HEADING or text.endswith(tuple("。，,：:、")):
            continue
        count = _count(text)
        if count is None:
            continue
        after = bisect_right(known, at, key=lambda one: one[0])
        if after == len(known) or known[after][1].unit != count.unit:
            continue
        before = last.get(after, known[after - 1][1].last if after else 0)
        if before + 1 == count.first <= count.last < known[after][1].first:
            more[at] = _heading(text, "chapter", doubtful=True)
            last[after] = count.last
    return more


class _Numbered(NamedTuple):
    """A numbered line: how its number is written, and which it is."""

    style: tuple[str, bool, bool]
    number: int


def _rising(texts: Sequence[str], found: Mapping[int, Heading]) -> dict[int, Heading]:
    """Find numbered lines that count 1, 2, 3 … through the text, or through each of its parts, all in one style.

    Each is short and stands after a blank line. Of two styles the one that comes first is the outer one. The same line
    elsewhere is of a printed table of contents.
    """
    numbered = {at: line for at, text in enumerate(texts) if at not in found and (line := _numbered(text))}
    listed = set(_listed(texts, numbered))
    counts: dict[tuple[str, bool, bool], int] = defaultdict(int)
    runs: dict[tuple[str, bool, bool], list[int]] = defaultdict(list)
    confirmed: set[tuple[str, bool, bool]] = set()
    for at in range(len(texts)):
        if at in found and found[at].kind == "part":
            counts.clear()
        line = numbered.get(at)
        if line is None or at in listed or (at and texts[at - 1]) or line.number != counts[line.style] + 1:
            continue
        counts[line.style] = line.number
        runs[line.style].append(at)
        if line.number == 2:
            confirmed.add(line.style)
    if not confirmed:
        return {}
    outer = min((runs[style] for style in confirmed), key=lambda run: run[0])
    names = {texts[at].casefold() for at in outer}
    return {at: _heading(texts[at], "chapter", doubtful=True) for at in numbered if texts[at].casefold() in names}


def _listed(texts: Sequence[str], numbered: Mapping[int, _Numbered]) -> Iterator[int]:
    """Yield the numbered lines after which the next number follows at once: they are a table of contents."""
    filled = [at for at, text in enumerate(texts) if text]
    for at, after in pairwise(filled):
        one, other = numbered.get(at), numbered.get(after)
        if one and other and one.style == other.style and one.number + 1 == other.number:
            yield at


def _numbered(text: str) -> _Numbered | None:
    match = _NUMBERED.fullmatch(text) if 0 < len(text) <= LONGEST_NUMBERED else None
    if match is None:
        return None
    rest, number = match["rest"], match["number"]
    roman = number[0] in _ROMAN
    if roman and rest and match["mark"] is not None and not match["mark"].strip():
        return None  # “I went home”
    ends = re.search(rf"{_ENDS}$|\.$", rest) is not None and not (roman and rest.isupper())
    if ends or (rest and not speakable(rest)):
        return None
    kind = "roman" if roman else "digits" if number.isdecimal() else "chinese"
    return _Numbered((kind, match["open"] is not None, bool(rest)), number_of(number))


def number_of(text: str) -> int:
    """Return the value of a number in digits, Chinese (三百二十一, 一〇一) or Roman numerals."""
    if text.isdecimal():
        return int(text)
    if text[0] in _ROMAN:
        values = [_ROMAN[c] for c in text]
        return sum(-one if one < after else one for one, after in pairwise([*values, 0]))
    digits = [int(c) if c.isdecimal() else _DIGITS.get(c, -1) for c in text]
    if -1 not in digits:
        return int("".join(map(str, digits)))
    value = digit = 0
    for character, known in zip(text, digits, strict=True):
        if character in _UNITS:
            value, digit = value + (digit or 1) * _UNITS[character], 0
        else:
            digit = known
    return value + digit
