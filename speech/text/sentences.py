"""Cut text into sentences: at 。！？ and at lines, never inside a number, an English word or a short quotation."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass

_TERMINATORS = "。！？!?．｡"
_CLOSERS = "”’」』）)】》〉］]\"'"
_PAIRS = {"“": "”", "‘": "’", "「": "」", "『": "』", "（": "）", "(": ")", "【": "】", "《": "》", "〈": "〉"}
_CLOSING = {closer: opener for opener, closer in _PAIRS.items()}
_QUOTES = frozenset('“‘「『"')
# A quotation of up to so many characters stays in one sentence.
_QUOTE_LIMIT = 90
# “…。”他说。 stays together if what follows the quotation is at most this long.
_TAG_LIMIT = 16
_END = re.compile(
    rf"(?:[{_TERMINATORS}]+(?:[…—~～]|\.{{2,}})*|(?<![….])(?:…|\.{{3,}}+)++[{_TERMINATORS}]+)[{re.escape(_CLOSERS)}]*"
)
_DOT = re.compile(rf"\.(?!\.)[{re.escape(_CLOSERS)}]*(?=\s|$|[\u4e00-\u9fff“「『])")
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(?:[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+|$)")
_ABBREVIATION = re.compile(
    r"(?:^|[^A-Za-z])(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Vol|Fig|Inc|Ltd|Co|Corp|e\.g|i\.e|a\.m|p\.m|[A-Z]\.[A-Z])$"
)
_SPEAKABLE = re.compile(r"[^\W_]")
# "1. Open the book" is an item of a list, not a sentence "1.".
_LIST_NUMBER = re.compile(r"\s*[(（]?[0-9]{1,3}\.\s*$")
_TAG = re.compile(rf"[^{_TERMINATORS}，,：:“「]*")


@dataclass(frozen=True, slots=True)
class Span:
    """A sentence's stretch of the text, and whether a line or the text ends with it."""

    start: int
    end: int
    ends_paragraph: bool


def split(text: str) -> list[Span]:
    """Return the sentences of a text; their stretches cover it without gaps or overlaps."""
    spans: list[Span] = []
    for line in _LINE.finditer(text):
        if line.end() > line.start():
            cuts = [*_cuts(text, line.start(), line.end()), line.end()]
            start = line.start()
            for cut in cuts:
                spans.append(Span(start, cut, ends_paragraph=cut == line.end()))
                start = cut
    return spans


def _cuts(text: str, start: int, end: int) -> list[int]:
    """Places inside a line after which a new sentence begins."""
    pairs = _quotations(text, start, end)
    closings = [closing for _, closing in pairs]
    cuts: list[int] = []
    sentence = start
    for at in sorted({match.end() for match in _END.finditer(text, start, end)} | set(_dot_ends(text, start, end))):
        if not _SPEAKABLE.search(text, at, end):
            break
        if _inside_address(text, at):
            continue
        if not _SPEAKABLE.search(text, sentence, at) or _LIST_NUMBER.match(text, sentence, at):
            continue
        if _inside_quotation(at, pairs, closings):
            continue
        if text[at - 1] in _CLOSERS and _speech_tag_follows(text, sentence, at, end):
            continue
        sentence = _after_blanks(text, at, end)
        cuts.append(sentence)
    return cuts


def _inside_address(text: str, at: int) -> bool:
    """Tell the ? of ``a.com/b?id=3`` from one that ends a sentence: no blank follows, and it is English around it."""
    around = text[max(0, at - 2) : at - 1] + text[at : at + 1]
    return text[at - 1] in "?!" and len(around) == 2 and around.isascii() and around[1].isalnum() and around[0] != " "


def _after_blanks(text: str, at: int, end: int) -> int:
    while at < end and text[at] in " \t\u3000":
        at += 1
    return at


def _dot_ends(text: str, start: int, end: int) -> list[int]:
    found = []
    for match in _DOT.finditer(text, start, end):
        before = text[max(start, match.start() - 8) : match.start()]
        if not before or before[-1] in " .\t" or _ABBREVIATION.search(before):
            continue
        found.append(match.end())
    return found


def _quotations(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Return the matched quotation marks and brackets of a line, as (opening, after closing), by closing place."""
    pairs: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []
    waiting: Counter[str] = Counter()
    straight = -1
    for at in range(start, end):
        char = text[at]
        if char in _PAIRS:
            stack.append((char, at))
            waiting[char] += 1
        elif char in _CLOSING and waiting[_CLOSING[char]]:
            opener = ""
            while opener != _CLOSING[char]:
                opener, opening = stack.pop()
                waiting[opener] -= 1
            pairs.append((opening, at + 1))
        elif char == '"':
            if straight >= 0:
                pairs.append((straight, at + 1))
            straight = -1 if straight >= 0 else at
    return pairs


def _inside_quotation(at: int, pairs: list[tuple[int, int]], closings: list[int]) -> bool:
    """Tell whether a quotation is open at a place and short enough to be kept whole."""
    index = bisect_right(closings, at)
    while index < len(pairs) and closings[index] < at + _QUOTE_LIMIT:
        opening, closing = pairs[index]
        if opening < at and closing - opening <= _QUOTE_LIMIT:
            return True
        index += 1
    return False


def _speech_tag_follows(text: str, sentence: int, at: int, end: int) -> bool:
    """Tell “走吧。”他说。 (one sentence) from 他说：“走吧。”然后走了。 (two)."""
    begin = _after_blanks(text, sentence, at)
    if text[begin] not in _QUOTES:
        return False
    following = text[at : at + 1]
    if not following or following in _QUOTES or following in _PAIRS or following == '"':
        return False
    tag = _TAG.match(text, at, end)
    return tag is not None and len(tag[0].strip()) <= _TAG_LIMIT
