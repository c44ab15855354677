"""Numbers and signs in sentences that are English throughout, like ``I paid $3.50 in 1998``."""

from __future__ import annotations

import re

from speech.text.numerals import WRITTEN
from speech.text.pieces import Piece, Rule

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth",
    "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip
_MOST_DIGITS = 12
_MONEY = {"$": "dollars", "£": "pounds", "€": "euros", "¥": "yuan"}
_CASH = re.compile(
    rf"(?P<money>[$£€¥])\s?(?P<a>{WRITTEN})(?:\s?(?P<large>thousand|million|billion|[KMB](?![A-Za-z])))?"
)
_TIME = re.compile(r"(?P<h>[01]?[0-9]|2[0-4]):(?P<m>[0-5][0-9])(?![0-9:])")
_PERCENT = re.compile(rf"(?P<a>{WRITTEN})\s?%")
_ORDINAL = re.compile(r"(?P<a>[0-9]{1,9})(?:st|nd|rd|th)(?![A-Za-z])")
_YEAR = re.compile(r"(?P<a>1[1-9][0-9]{2}|20[1-9][0-9])(?![0-9%]|[.,][0-9]|\s?(?:dollars|people|years|times|miles))")
_PLAIN = re.compile(rf"(?P<a>{WRITTEN})")
_SIGN = re.compile("[&@%+=]")
_SIGNS = {"&": "and", "@": "at", "%": "percent", "+": "plus", "=": "equals"}
_LARGE = {"K": "thousand", "M": "million", "B": "billion"}


def whole(value: int) -> list[str]:
    """Return the words of a whole number: 123 → one hundred twenty three."""
    if value < 20:
        return [_ONES[value]]
    if value < 100:
        return [_TENS[value // 10], *(whole(value % 10) if value % 10 else [])]
    if value < 1000:
        return [_ONES[value // 100], "hundred", *(whole(value % 100) if value % 100 else [])]
    for scale, name in _SCALES:
        if value >= scale:
            return [*whole(value // scale), name, *(whole(value % scale) if value % scale else [])]
    raise AssertionError(value)


def number(text: str) -> list[str]:
    """Return the words of a number with optional commas and decimals; very long ones digit by digit."""
    before, _, after = text.replace(",", "").partition(".")
    spelled = len(before) > _MOST_DIGITS or (len(before) > 1 and before[0] == "0")
    words = [_ONES[int(digit)] for digit in before] if spelled else whole(int(before))
    return [*words, "point", *(_ONES[int(digit)] for digit in after)] if after else words


def _words(words: list[str], match: re.Match[str]) -> list[Piece]:
    return [Piece("latin", word, *match.span()) for word in words]


def _cash(match: re.Match[str]) -> list[Piece]:
    large = match["large"] or ""
    return _words([*number(match["a"]), *([_LARGE.get(large, large)] if large else []), _MONEY[match["money"]]], match)


def _time(match: re.Match[str]) -> list[Piece]:
    minute = int(match["m"])
    minutes = ["o", *whole(minute)] if 0 < minute < 10 else whole(minute) if minute else []
    return _words([*whole(int(match["h"])), *(minutes or ["o'clock"])], match)


def _percent(match: re.Match[str]) -> list[Piece]:
    return _words([*number(match["a"]), "percent"], match)


def _ordinal(match: re.Match[str]) -> list[Piece]:
    *words, last = whole(int(match["a"]))
    ordinal = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return _words([*words, ordinal], match)


def _year(match: re.Match[str]) -> list[Piece]:
    century, rest = divmod(int(match["a"]), 100)
    tail = ["hundred"] if rest == 0 else ["o", *whole(rest)] if rest < 10 else whole(rest)
    return _words([*whole(century), *tail], match)


def _plain(match: re.Match[str]) -> list[Piece]:
    return _words(number(match["a"]), match)


def _sign(match: re.Match[str]) -> list[Piece]:
    return _words([_SIGNS[match[0]]], match)


NUMBER_RULES: list[Rule] = [
    (_TIME, _time),
    (_PERCENT, _percent),
    (_ORDINAL, _ordinal),
    (_YEAR, _year),
    (_PLAIN, _plain),
]
SIGN_RULES: list[Rule] = [(_CASH, _cash), (_SIGN, _sign)]
