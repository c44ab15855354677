"""Spoken pieces to units: words with their readings, and the breaks that punctuation asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from speech.text.characters import is_han
from speech.text.english import LETTERS, say
from speech.text.erhua import merge_erhua
from speech.text.pieces import Piece
from speech.text.pinyin import character, read_word
from speech.text.polyphones import CANDIDATES, in_context
from speech.text.segment import numeral_words, segment
from speech.text.symbols import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# A unit is spoken in one breath; a longer one (a chain of digits) is cut.
_LONGEST_UNIT = 12
_CHUNK = 4
_MOST_WARNINGS = 5
_SHOWN = 20
# Longer runs of Latin letters are no words: they are spelled.
_LONGEST_ENGLISH = 28
_SPOKEN_WORDS = re.compile(r"[^ |]+|[ |]")
_NUMBER_START = re.compile("[零〇一二三四五六七八九十百千万亿两幺负第]")


def compose(pieces: Sequence[Piece]) -> tuple[list[Unit], list[str]]:
    """Return the units of a sentence with citation tones, and warnings about what cannot be spoken."""
    units: list[Unit] = []
    unknown: list[Piece] = []
    for piece in pieces:
        if piece.kind == "break":
            if units:
                units[-1].level = max(units[-1].level, piece.level)
        elif piece.kind == "unknown":
            unknown.append(piece)
        elif piece.kind == "han":
            units.extend(_han(piece, units, unknown))
        elif piece.kind == "spoken":
            units.extend(_spoken(piece))
        elif piece.kind == "latin":
            units.extend(_latin(piece))
        else:
            units.append(_said(piece))
    _read_in_context(units)
    return [part for unit in merge_erhua(units) for part in _breathe(unit)], list(_warnings(unknown))


def _warnings(unknown: Sequence[Piece]) -> Iterator[str]:
    """One warning for each run of characters that cannot be spoken, the rest summed up."""
    runs: list[tuple[str, int]] = []
    end = -1
    for piece in unknown:
        if piece.start == end:
            runs[-1] = (runs[-1][0] + piece.text, runs[-1][1])
        else:
            runs.append((piece.text, piece.start))
        end = piece.end
    for text, start in runs[:_MOST_WARNINGS]:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        yield f"{shown!r} at character {start + 1} of the sentence cannot be spoken and was left out"
    if len(runs) > _MOST_WARNINGS:
        yield f"{len(runs) - _MOST_WARNINGS} more places were left out"


def _han(piece: Piece, before: Sequence[Unit], unknown: list[Piece]) -> Iterator[Unit]:
    after_numeral = bool(before) and before[-1].number and before[-1].end == piece.start
    at = piece.start
    for word in segment(piece.text, after_numeral=after_numeral):
        known = [char for char in word if character(char)]
        if len(known) == len(word):
            yield Unit(at, at + len(word), list(read_word(word)), known)
        else:
            for place, char in enumerate(word, at):
                if character(char):
                    yield Unit(place, place + 1, [character(char)[0]], [char])
                else:
                    unknown.append(Piece("unknown", char, place, place + 1))
        at += len(word)


def _spoken(piece: Piece) -> Iterator[Unit]:
    unit: Unit | None = None
    for part in _SPOKEN_WORDS.findall(piece.text):
        if part in " |":
            if unit is not None and part == "|":
                unit.level = 2
            continue
        if unit is not None:
            yield unit
        number = _NUMBER_START.match(part) is not None
        *first, last = numeral_words(part) if number else [part]
        for word in first:
            yield Unit(piece.start, piece.end, list(read_word(word)), list(word), number=True)
        unit = Unit(piece.start, piece.end, list(read_word(last)), list(last), number=number)
    if unit is not None:
        yield unit


def _latin(piece: Piece) -> Iterator[Unit]:
    if len(piece.text) > _LONGEST_ENGLISH:
        for at, letter in enumerate(piece.text, piece.start):
            if letter.lower() in LETTERS:
                yield Unit(at, at + 1, LETTERS[letter.lower()].split(" . "), english=True)
        return
    whole = piece.end - piece.start != len(piece.text)
    for start, end, syllables in say(piece.text):
        span = (piece.start, piece.end) if whole else (piece.start + start, piece.start + end)
        yield Unit(*span, list(syllables), english=True)


def _said(piece: Piece) -> Unit:
    syllables = list(piece.syllables)
    if piece.kind == "arpabet":
        return Unit(piece.start, piece.end, syllables, english=True, frozen=True)
    chars = list(piece.text) if all(map(is_han, piece.text)) else []
    if len(chars) != len(syllables):
        # A coloured syllable stands for two characters; foreign words have none of their own.
        chars = ["·"] * len(syllables)
    return Unit(piece.start, piece.end, syllables, chars, frozen=piece.frozen)


def _read_in_context(units: Sequence[Unit]) -> None:
    """Choose the readings that hang on neighbouring words, clause by clause."""
    clause: list[Unit] = []
    for index, unit in enumerate(units):
        clause.append(unit)
        if unit.level >= 2 or index == len(units) - 1:
            words = [part.text or "a" for part in clause]
            for at, part in enumerate(clause):
                if words[at] in CANDIDATES and not part.frozen and (reading := in_context(words, at)):
                    part.syllables = reading.split()
            clause = []


def _breathe(unit: Unit) -> Iterator[Unit]:
    """Cut a unit that is longer than anybody's breath."""
    count = len(unit.syllables)
    if count <= _LONGEST_UNIT:
        yield unit
        return
    for start in range(0, count, _CHUNK):
        end = min(start + _CHUNK, count)
        yield Unit(
            unit.start, unit.end, unit.syllables[start:end], unit.chars[start:end],
            level=unit.level if end == count else 2 if start % (2 * _CHUNK) else 1,
            english=unit.english, number=unit.number, frozen=unit.frozen,
        )  # fmt: skip
