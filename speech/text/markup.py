"""Marks in the text: ``[pinyin:chong2 qing4] [pause:800ms] [voice:NAME] [emotion:happy] [speed:1.2] [speaker:M7]``.

A style mark holds until the next one of its kind, ``[/voice]`` (and so on) returns to the job's own. ``[pinyin:…]``
gives the reading of the characters just before it (or, if those cannot be read so, just behind it); where neither
fits it is spoken in its place. Other brackets are ordinary text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from speech.errors import TextError
from speech.text.characters import is_han
from speech.text.pieces import Piece
from speech.text.pinyin import character, valid
from speech.text.symbols import tables

if TYPE_CHECKING:
    from speech.text.model import Style

LONGEST_PAUSE_MS = 60_000
SLOWEST, FASTEST = 0.5, 2.0
_SHOWN = 60
_MARK = re.compile(
    r"\[(?:(?P<name>pinyin|pause|voice|emotion|speed|speaker):(?P<value>[^\[\]\n]*)|/(?P<close>voice|emotion|speed|speaker))\]"
)
_PAUSE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s)")
# No separators of symbols and paths, no controls, and nothing that cannot be seen.
_NEVER = r"\s\x00-\x1f\"'<>/\\$|{}\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
_NAME = re.compile(f"[^{_NEVER}.][^{_NEVER}]{{0,127}}")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text of one style without marks, the readings given in it, and the pause after it."""

    text: str
    style: Style
    given: tuple[Piece, ...] = ()
    pause_ms: int = 0
    ends_paragraph: bool = True


def parse_inline(text: str, style: Style) -> list[Stretch]:
    """Return the stretches of a text with inline marks; raises TextError for a mark with a bad value."""
    found: list[Stretch] = []
    current = style
    builder = StretchBuilder()
    at = 0
    for match in _MARK.finditer(text):
        builder.add(text[at : match.start()])
        at = match.end()
        name, value, where = (
            match["name"],
            (match["value"] or "").strip(),
            f"at character {match.start() + 1}, {shown(match[0])}",
        )
        if name == "pinyin":
            builder.give(syllables_of(value, where), text[match.end() : match.end() + 64])
            continue
        if name == "pause":
            builder.close(found, current, pause_ms=pause_of(value, where))
            continue
        wanted = _reset(current, style, match["close"]) if match["close"] else _changed(current, name, value, where)
        if wanted != current:
            builder.close(found, current)
            current = wanted
    builder.add(text[at:])
    builder.close(found, current, ends_paragraph=True)
    return found


class StretchBuilder:
    """Collects text and given readings until a mark closes the stretch."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._given: list[Piece] = []
        self._length = 0
        # Characters that a reading for the text to come has settled already: (how many, syllables).
        self._ahead: tuple[int, tuple[str, ...]] | None = None

    def add(self, text: str) -> None:
        """Add text as it is spoken and shown."""
        if self._ahead is not None:
            count, syllables = self._ahead
            self._settle(text[:count], self._length, syllables)
            self._ahead = None
        self._parts.append(text)
        self._length += len(text)

    def say(self, text: str, syllables: tuple[str, ...]) -> None:
        """Add text that is spoken as the given pinyin."""
        self._settle(text, self._length, syllables)
        self._parts.append(text)
        self._length += len(text)

    def give(self, syllables: tuple[str, ...], following: str) -> None:
        """Give a reading to the characters before, else to those that follow, else speak it here."""
        count = len(syllables)
        before = "".join(self._parts[-2:])[-count:]
        settled = self._given[-1].end if self._given else 0
        if self._length - settled >= count and _fits(before, syllables):
            self._settle(before, self._length - count, syllables)
        elif _fits(following[:count], syllables):
            self._ahead = (count, syllables)
        else:
            self._settle("", self._length, syllables)

    def close(self, found: list[Stretch], style: Style, *, pause_ms: int = 0, ends_paragraph: bool = False) -> None:
        """Append what was collected as a stretch, if there is anything."""
        text = "".join(self._parts)
        if not ends_paragraph and not pause_ms and not text.strip() and not self._given:
            # Only blanks: a line end here still ends the paragraph before it.
            if "\n" in text and found:
                found[-1] = replace(found[-1], ends_paragraph=True, text=found[-1].text + text)
        elif text or self._given or pause_ms:
            ends = ends_paragraph or "\n" in text[len(text.rstrip()) :]
            found.append(Stretch(text, style, tuple(self._given), pause_ms, ends))
        self._parts, self._given, self._length, self._ahead = [], [], 0, None

    def _settle(self, text: str, start: int, syllables: tuple[str, ...]) -> None:
        self._given.append(Piece("said", text, start, start + len(text), syllables=syllables, frozen=True))


def _fits(text: str, syllables: tuple[str, ...]) -> bool:
    """Tell whether pinyin can be meant for these characters: at least half of them may be read so."""
    if len(text) != len(syllables) or not all(map(is_han, text)):
        return False
    bases = [{reading[:-1] for reading in character(char)} for char in text]
    likely = sum(said[:-1] in known or said[:-2] in known for said, known in zip(syllables, bases, strict=True))
    return 2 * likely >= len(text)


def shown(text: str) -> str:
    """Return what a message shows of a client's text, which may be megabytes long."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def syllables_of(value: str, where: str) -> tuple[str, ...]:
    """Return the syllables of ``chong2 qing4``; raises TextError naming the place."""
    if not value.split():
        raise TextError(f"{where}: pinyin is missing, like chong2 qing4", code="bad_markup")
    try:
        return tuple(valid(syllable) for syllable in value.split())
    except TextError as error:
        raise TextError(f"{where}: {error.detail}", code="bad_markup") from error


def pause_of(value: str, where: str) -> int:
    """Return the milliseconds of ``800ms`` or ``1.5s``; raises TextError naming the place."""
    match = _PAUSE.fullmatch(value)
    milliseconds = float(match[1]) * (1 if match[2] == "ms" else 1000) if match else -1.0
    if not 0 <= milliseconds <= LONGEST_PAUSE_MS:
        raise TextError(
            f"{where}: a pause is written like 800ms or 1.5s and lasts at most {LONGEST_PAUSE_MS // 1000} seconds",
            code="bad_markup",
        )
    return round(milliseconds)


def voice_of(value: str, where: str) -> str:
    """Return a voice or speaker name; raises TextError naming the place."""
    if not _NAME.fullmatch(value):
        raise TextError(f"{where}: this is no name of a voice or speaker", code="bad_markup")
    return value


def emotion_of(value: str, where: str) -> str:
    """Return an emotion's name; raises TextError that lists the known ones."""
    name = value.lower().removeprefix("emotion_")
    if name not in tables().emotions:
        known = ", ".join(one for one in tables().emotions if not one.startswith("placeholder"))
        raise TextError(f"{where}: {shown(value)!r} is no emotion; known are {known}", code="bad_markup")
    return name


def speed_of(value: str, where: str) -> float:
    """Return a speed; raises TextError naming the place and the limits."""
    try:
        speed = float(value)
    except ValueError:
        speed = math.nan
    if not SLOWEST <= speed <= FASTEST:
        raise TextError(f"{where}: a speed is a number from {SLOWEST} to {FASTEST}", code="bad_markup")
    return speed


def _changed(style: Style, name: str, value: str, where: str) -> Style:
    if name == "voice":
        return replace(style, voice=voice_of(value, where))
    if name == "speaker":
        return replace(style, speaker=voice_of(value, where))
    if name == "emotion":
        return replace(style, emotion=emotion_of(value, where))
    return replace(style, speed=speed_of(value, where))


def _reset(current: Style, style: Style, name: str) -> Style:
    return replace(current, **{name: getattr(style, name)})
