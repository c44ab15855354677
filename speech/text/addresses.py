"""Addresses of the net: www.example.com, name@example.com."""

from __future__ import annotations

import re

from speech.text.numerals import digits
from speech.text.pieces import Piece, Rule, spoken

_ADDRESS = re.compile(
    r"(?:(?:https?|ftp)://|www\.)[A-Za-z0-9][A-Za-z0-9._~:/?#@!$&'*+,;=%-]*"
    r"|[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}"
    r"|[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?:\.[A-Za-z0-9_-]{1,63}){0,6}\.(?:com|cn|net|org|io|gov|edu|cc|html?|txt|pdf|docx?|xlsx?|mp[34]|wav|py|js)"
    r"(?![A-Za-z0-9]|\.[A-Za-z0-9])"
)
_SCHEME = re.compile(r"(?:https?|ftp)://")
_PART = re.compile(r"[A-Za-z]+|[0-9]+|.", re.DOTALL)
_NAMES = {
    ".": "点", "/": "斜杠", "-": "杠", "_": "下划线", ":": "冒号", "@": "艾特", "?": "问号", "=": "等于", "&": "和",
    "#": "井号", "%": "百分号", "+": "加", "~": "波浪号",
}  # fmt: skip


def _address(match: re.Match[str]) -> list[Piece]:
    scheme = _SCHEME.match(match[0])
    text = match[0].rstrip(".,;:!?'")
    pieces = []
    for part in _PART.finditer(text, scheme.end() if scheme else 0):
        start, end = match.start() + part.start(), match.start() + part.end()
        if part[0].isalpha():
            pieces.append(Piece("latin", part[0], start, end))
        elif part[0].isdigit():
            pieces.append(spoken(digits(part[0]), start, end))
        elif part[0] in _NAMES and part.end() < len(text):
            pieces.append(spoken(_NAMES[part[0]], start, end))
    return pieces


RULES: list[Rule] = [(_ADDRESS, _address)]
