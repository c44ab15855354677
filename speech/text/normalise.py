"""Written text to spoken pieces, each with the stretch of the source it stands for.

Own rules instead of a grammar compiled to transducers: those hand back a string in which the source positions are
lost, and the times of words need them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from speech.text import addresses, codes, dates, english_numbers, quantities
from speech.text.characters import PAUSES, SIGN_NAMES, SILENT, fold, is_han
from speech.text.numerals import cardinal
from speech.text.pieces import Piece, Rule, spoken
from speech.text.traditional import simplified

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HAN = re.compile("[\u4e00-\u9fff\u3400-\u4dbf〇\U00020000-\U000323af]+")
_LATIN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_ENGLISH_WORD = re.compile("[A-Za-z]{2,}")
_ROMAN = re.compile(r"(?<=第)[IVX]{1,5}(?=[章节卷部集届幕回册篇季期级])")
_NUMBER_SIGN = re.compile(r"[Nn][Oo]\.\s?(?=[0-9])")
_WIFI = re.compile(r"[Ww][Ii]-[Ff][Ii](?![A-Za-z])")
# C++ and A+, C#.
_PLUS_GRADE = re.compile(r"(?<=[A-Za-z])\+{1,2}(?![A-Za-z0-9+])")
_SHARP = re.compile(r"(?<=\b[CFcf])#(?![A-Za-z0-9#])")
_ROMAN_DIGITS = {"I": 1, "V": 5, "X": 10}
# 路易XIV, 拿破仑III世, II型糖尿病; a V or X before 型 is a shape.
_ROMAN_NAME = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:X{0,2}(?:IX|IV|VI{1,3}|I{1,3})|XV)(?=[世型期级类度代])|[VX](?=世(?!纪))"
    r"|(?<=[\u4e00-\u9fff])(?:I{2,3}|VI{2,3}|XI{1,3}|XIV|XVI{0,3}))(?![A-Za-z0-9])"
)
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))
_POWER = re.compile(r"(?<=[0-9A-Za-z)])(?:\^(?P<caret>-?[0-9]{1,3})|(?P<raised>⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))")
# 10w+转发, 18+: and more.
_OR_MORE = re.compile(r"(?<=[0-9wk万千百亿%])\+(?![0-9A-Za-z])")
# ①, ⅷ, ㈢ and the like are the number they hold.
_CIRCLED = re.compile("[\u2460-\u2473\u2474-\u2487\u2160-\u216b\u2170-\u217b\u3220-\u3229\u3280-\u3289]")


def _roman(match: re.Match[str]) -> list[Piece] | None:
    values = [_ROMAN_DIGITS[char] for char in match[0]]
    total = sum(-one if one < next_one else one for one, next_one in zip(values, [*values[1:], 0], strict=True))
    return [spoken(cardinal(str(total)), *match.span())]


def _power(match: re.Match[str]) -> list[Piece]:
    exponent = match["caret"] or "".join(_SUPERSCRIPTS[char] for char in match["raised"])
    letter = match.string[match.start() - 1].isalpha()
    if exponent == "2" or (letter and exponent == "3"):
        said = "平方" if exponent == "2" else "立方"
        return [spoken(said if letter else f"的{said}", *match.span())]
    sign = "负" if exponent.startswith("-") else ""
    return [spoken(f"的 {sign}{cardinal(exponent.removeprefix('-'))}次方", *match.span())]


def _or_more(match: re.Match[str]) -> list[Piece]:
    return [spoken("加", *match.span())]


def _wifi(match: re.Match[str]) -> list[Piece]:
    return [Piece("latin", "wifi", *match.span())]


def _plus_grade(match: re.Match[str]) -> list[Piece]:
    return [spoken("加" * len(match[0]), *match.span())]


def _sharp(match: re.Match[str]) -> list[Piece]:
    return [Piece("latin", "sharp", *match.span())]


def _number_sign(match: re.Match[str]) -> list[Piece]:
    return [Piece("latin", "number", *match.span())]


@cache
def _rules(kind: str, *, english: bool) -> list[Rule]:
    """Return the rules that may begin at a digit, a letter or a sign, in the order they are tried."""
    if english and kind == "digit":
        return [*addresses.RULES, *english_numbers.NUMBER_RULES]
    if english and kind == "sign":
        return [*english_numbers.SIGN_RULES]
    if kind == "digit":
        return [
            *addresses.RULES, *codes.RULES, *dates.RULES, *quantities.NUMBER_RULES, *codes.LATE_RULES,
            *quantities.PLAIN_RULES,
        ]  # fmt: skip
    if kind == "letter":
        return [
            (_WIFI, _wifi),
            (_ROMAN, _roman),
            (_ROMAN_NAME, _roman),
            (_NUMBER_SIGN, _number_sign),
            *addresses.RULES,
            *quantities.LETTER_RULES,
        ]
    return [
        (_PLUS_GRADE, _plus_grade), (_OR_MORE, _or_more), (_SHARP, _sharp), (_POWER, _power), *codes.SIGN_RULES,
        *quantities.SIGN_RULES,
    ]  # fmt: skip


def normalise(text: str, given: Sequence[Piece] = ()) -> list[Piece]:
    """Return the pieces of a text in order; their stretches do not overlap. Characters without sound are left out.

    ``given`` are pieces that are settled already (marks, dictionary), in order and without overlap.
    """
    folded = fold(text)
    if _HAN.search(folded):
        folded = simplified(folded)
    pieces: list[Piece] = []
    at = 0
    english = _is_english(folded)
    for settled in given:
        _scan(folded, at, settled.start, pieces, english=english)
        pieces.append(settled)
        at = settled.end
    _scan(folded, at, len(folded), pieces, english=english)
    return pieces


def _is_english(text: str) -> bool:
    """Tell whether a sentence is English throughout, so that its numbers are read in English too."""
    return not _HAN.search(text) and len(_ENGLISH_WORD.findall(text)) > 1


def _scan(text: str, at: int, limit: int, pieces: list[Piece], *, english: bool) -> None:
    while at < limit:
        run = _HAN.match(text, at, limit)
        if run is not None:
            pieces.append(Piece("han", run[0], at, run.end()))
            at = run.end()
        else:
            found, at = _next(text, at, limit, english=english)
            pieces.extend(found)


def _next(text: str, at: int, limit: int, *, english: bool) -> tuple[Iterable[Piece], int]:
    char = text[at]
    if "0" <= char <= "9":
        kind = "digit"
    elif char.isascii() and char.isalpha():
        kind = "letter"
    else:
        kind = "sign"
    if kind != "sign" or char in _RULED_SIGNS:
        for pattern, rule in _rules(kind, english=english):
            match = pattern.match(text, at, limit)
            if match is not None and match.end() > at:
                pieces = rule(match)
                if pieces is not None:
                    return pieces, max(match.end(), *(piece.end for piece in pieces))
    if kind == "letter":
        word = _LATIN.match(text, at, limit)
        assert word is not None
        return [Piece("latin", word[0], at, word.end())], word.end()
    return _sign(text, at), at + 1


_RULED_SIGNS = frozenset(" +-*×÷=<>≈≠≤≥≡$¥€£₩₽±/xX(&@%#^⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _sign(text: str, at: int) -> Iterator[Piece]:
    char = text[at]
    level = PAUSES.get(char)
    if level is not None:
        if char == " ":
            level = _blank(text, at)
        elif char == "." and not _ends_clause(text, at):
            level = 1
        yield Piece("break", char, at, at + 1, level=level)
    elif SIGN_NAMES.get(char):
        yield spoken(SIGN_NAMES[char], at, at + 1)
    elif _CIRCLED.match(char):
        # ①…②… in a running text are the points of a list, 图① is a name.
        if at and char >= "\u2460" and text[at - 1] not in "第图表式见选和、如":
            yield Piece("break", "", at, at, level=2)
        yield from _held_number(char, at)
    elif char not in SILENT and char not in SIGN_NAMES and not char.isspace():
        yield Piece("unknown", char, at, at + 1)


def _held_number(char: str, at: int) -> Iterator[Piece]:
    yield spoken(cardinal(str(int(unicodedata.numeric(char)))), at, at + 1)


def _blank(text: str, at: int) -> int:
    """Return the level of a blank: between Chinese words the writer wanted a short pause."""
    return 2 if is_han(text[at - 1 : at] or " ") and is_han(text[at + 1 : at + 2] or " ") else 1


def _ends_clause(text: str, at: int) -> bool:
    after = text[at + 1 : at + 2]
    return not after or after.isspace() or is_han(after) or after in "\"'”’)）"
