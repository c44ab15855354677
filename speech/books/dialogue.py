"""Telling quoted speech from narration, so that a second voice can speak it."""

from __future__ import annotations

import re
from dataclasses import dataclass

PAIRS = {"“": "”", "「": "」", "『": "』", "«": "»"}
_TRAILING = "，。！？；：、…—～,.!?;:~"
_INTRODUCED = re.compile(r"[:：]\s*$")
_SPOKEN_END = re.compile(r"[。！？!?…，,.—～~](?:[”’」』\"'）)]*)\s*$")


@dataclass(frozen=True)
class Passage:
    """A stretch of a paragraph; ``quoted`` if somebody in the story says it."""

    text: str
    quoted: bool


def passages(paragraph: str) -> list[Passage]:
    """Split a paragraph into narration and speech; the texts joined are the paragraph.

    A quotation is speech if it begins the paragraph, follows a colon, or ends like a sentence; a quoted word inside
    a sentence (所谓的“朋友”) is not. One that is not closed goes on to the end of the paragraph.
    """
    found: list[Passage] = []
    begin = at = 0
    while at < len(paragraph):
        closing = _closing(paragraph, at)
        if closing is None:
            at += 1
            continue
        end = _end_of_quotation(paragraph, at, closing)
        if _is_speech(paragraph, at, end):
            if paragraph[begin:at]:
                found.append(Passage(paragraph[begin:at], quoted=False))
            found.append(Passage(paragraph[at:end], quoted=True))
            begin = end
        at = end
    if paragraph[begin:] or not found:
        found.append(Passage(paragraph[begin:], quoted=False))
    return _joined(found)


def _closing(paragraph: str, at: int) -> str | None:
    character = paragraph[at]
    if character == '"':  # straight quotes say nothing of their side; only an even number of them makes sense
        return '"' if paragraph.count('"') % 2 == 0 else None
    return PAIRS.get(character)


def _end_of_quotation(paragraph: str, begin: int, closing: str) -> int:
    opening, depth = paragraph[begin], 0
    for index in range(begin, len(paragraph)):
        character = paragraph[index]
        if character == closing and (opening != closing or index > begin):
            depth -= 1
            if depth <= 0:
                return index + 1
        elif character == opening:
            depth += 1
    return len(paragraph)


def _is_speech(paragraph: str, begin: int, end: int) -> bool:
    before, inside = paragraph[:begin], paragraph[begin + 1 : end].rstrip('”」』»"')
    if not any(c.isalnum() for c in inside):
        return False
    return not before.strip() or _INTRODUCED.search(before) is not None or _SPOKEN_END.search(inside) is not None


def _joined(found: list[Passage]) -> list[Passage]:
    """Give the punctuation that follows a quotation, and stretches without a letter, to what they follow."""
    joined: list[Passage] = []
    for passage in found:
        if not joined:
            joined.append(passage)
            continue
        last, text = joined[-1], passage.text
        same = passage.quoted == last.quoted or not any(c.isalnum() for c in text)
        taken = len(text) if same else len(text) - len(text.lstrip(_TRAILING))
        joined[-1] = Passage(last.text + text[:taken], last.quoted)
        if text[taken:]:
            joined.append(Passage(text[taken:], passage.quoted))
    return joined
