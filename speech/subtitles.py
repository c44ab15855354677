"""Timed text as SRT, WebVTT, LRC, TSV, plain text and JSON, wrapped to the width of a screen."""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

LRC_PAUSE_SECONDS = 2.0
"""LRC lines have no end; after a line that is followed by a longer silence than this an empty one clears the screen."""
MEDIA_TYPES = {
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "lrc": "text/plain",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "json": "application/json",
}
"""Media types of the files that hold what the functions here write (in UTF-8)."""
OPENING = "（《「『【〔“‘([{<〈〖"
CLOSING = "，。！？；：、…—～）》」』】〕”’,.!?;:)]}>〉〗·%％℃"
PAUSING = "，。！？；：、…,.!?;:"


@dataclass(frozen=True)
class CueWord:
    """A word and its time in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Cue:
    """A line of subtitles, shown from ``start`` to ``end`` seconds; ``text`` may hold line breaks."""

    start: float
    end: float
    text: str
    words: tuple[CueWord, ...] = ()


def to_srt(cues: Iterable[Cue]) -> str:
    """Write SubRip: numbered cues, milliseconds after a comma."""
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n"
        for number, (start, end, text) in enumerate(_shown(cues), 1)
    )


def to_vtt(cues: Iterable[Cue], *, words: bool = False) -> str:
    """Write WebVTT; with ``words`` each word carries its time, for players that highlight it."""
    parts = ["WEBVTT\n\n"]
    for cue in cues:
        for start, end, text in _shown([cue]):
            shown = _timed_words(cue, text) if words else _escaped(text)
            parts.append(f"{_clock(start, '.')} --> {_clock(end, '.')}\n{shown}\n\n")
    return "".join(parts)


def to_lrc(cues: Iterable[Cue], *, title: str = "", artist: str = "") -> str:
    """Write LRC lyrics: ``[mm:ss.xx]text``, hundredths of a second, one line each."""
    lines = [f"[{tag}:{_one_line(value)}]" for tag, value in (("ti", title), ("ar", artist)) if value]
    previous = None
    for start, end, text in _shown(cues):
        if previous is not None and start - previous > LRC_PAUSE_SECONDS * 1000:
            lines.append(_lrc_time(previous))
        lines.append(_lrc_time(start) + _one_line(text))
        previous = end
    return "\n".join([*lines, ""])


def to_tsv(cues: Iterable[Cue]) -> str:
    """Write a table: start and end in milliseconds, text; one header line."""
    return "".join(
        ["start\tend\ttext\n", *(f"{start}\t{end}\t{_one_line(text)}\n" for start, end, text in _shown(cues))]
    )


def to_txt(cues: Iterable[Cue]) -> str:
    """Write the text alone, one cue a line."""
    return "".join(f"{_one_line(text)}\n" for _, _, text in _shown(cues))


def to_json(cues: Iterable[Cue], **extra: Any) -> str:
    """Write ``{**extra, "cues": [{start, end, text, words?: [{start, end, text}]}]}``, seconds to the millisecond."""
    listed = []
    for cue in cues:
        entry: dict[str, Any] = {"start": round(cue.start, 3), "end": round(cue.end, 3), "text": cue.text}
        if cue.words:
            entry["words"] = [{"start": round(w.start, 3), "end": round(w.end, 3), "text": w.text} for w in cue.words]
        listed.append(entry)
    return json.dumps({**extra, "cues": listed}, ensure_ascii=False, indent=1)


def wrap(cues: Iterable[Cue], max_width: int, max_lines: int = 2) -> list[Cue]:
    """Break cues into lines of at most ``max_width`` columns and into cues of at most ``max_lines`` lines.

    A full-width character (Chinese, kana, hangul) takes two columns. Lines break after punctuation where that leaves
    the line at least half full, never before closing or after opening punctuation, and inside a Latin word only if it
    alone is too long. A cue that is cut gets the times of its words, or, without words, shares by width.
    """
    if max_width < 2 or max_lines < 1:
        raise ValueError(f"max_width must be at least 2 columns and max_lines at least 1, not {max_width}, {max_lines}")
    return [part for cue in cues for part in _wrapped(cue, max_width, max_lines)]


def width(text: str) -> int:
    """Count the columns of a text: two for full-width characters, none for combining ones."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Cf", "Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} or character in "“”‘’…—" else 1


# --- times and texts


def _shown(cues: Iterable[Cue]) -> Iterator[tuple[int, int, str]]:
    """Yield (start ms, end ms, text) of cues that show something; the end is always after the start."""
    for cue in cues:
        text = _clean(cue.text)
        if text:
            start = max(0, round(cue.start * 1000))
            yield start, max(start + 1, round(cue.end * 1000)), text


def _clean(text: str) -> str:
    """Drop what would end a cue early or cannot be shown: empty lines, control characters."""
    lines = ("".join(c if c.isprintable() else " " for c in line).strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _one_line(text: str) -> str:
    """Join lines: with a space between Latin words, with nothing between Chinese ones."""
    lines = _clean(text).split("\n")
    joined = lines[0]
    for line in lines[1:]:
        spaced = joined[-1:].isascii() and line[:1].isascii()
        joined += f" {line}" if spaced else line
    return joined


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _lrc_time(milliseconds: int) -> str:
    hundredths = round(milliseconds / 10)
    return f"[{hundredths // 6000:02d}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}]"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _timed_words(cue: Cue, text: str) -> str:
    offsets = _word_offsets(cue, text)
    if not offsets:
        return _escaped(text)
    parts, last = [], 0
    for offset, word in zip(offsets, cue.words, strict=True):
        parts.append(_escaped(text[last:offset]))
        if offset:
            parts.append(f"<{_clock(round(word.start * 1000), '.')}>")
        last = offset
    return "".join([*parts, _escaped(text[last:])])


def _word_offsets(cue: Cue, text: str) -> list[int]:
    """Return where each word of the cue begins in ``text``, or nothing if they are not all found there in order."""
    offsets, position = [], 0
    for word in cue.words:
        found = text.find(word.text.strip(), position)
        if found < 0 or not word.text.strip():
            return []
        offsets.append(found)
        position = found + len(word.text.strip())
    return offsets


# --- wrapping


def _wrapped(cue: Cue, max_width: int, max_lines: int) -> list[Cue]:
    text = _one_line(cue.text)
    lines = _lines(text, max_width)
    if len(lines) <= max_lines:
        return [replace(cue, text="\n".join(line.strip() for _, line in lines))]
    groups = [lines[at : at + max_lines] for at in range(0, len(lines), max_lines)]
    cuts = [group[0][0] for group in groups]
    times = [cue.start, *(_time_at(cue, text, cut) for cut in cuts[1:]), cue.end]
    ends = [*cuts[1:], len(text)]
    offsets = _word_offsets(cue, text)
    return [
        Cue(
            start=times[index],
            end=times[index + 1],
            text="\n".join(line.strip() for _, line in group),
            words=tuple(word for at, word in zip(offsets, cue.words, strict=False) if cuts[index] <= at < ends[index]),
        )
        for index, group in enumerate(groups)
    ]


def _time_at(cue: Cue, text: str, offset: int) -> float:
    """Return the second at which the text from ``offset`` on begins to be spoken."""
    offsets = _word_offsets(cue, text)
    if offsets:
        following = bisect_left(offsets, offset)
        return cue.words[following].start if following < len(offsets) else cue.words[-1].end
    return cue.start + (cue.end - cue.start) * width(text[:offset]) / max(1, width(text))


def _lines(text: str, max_width: int) -> list[tuple[int, str]]:
    """Cut a text into (offset, line); the lines together are the text."""
    lines: list[tuple[int, str]] = []
    units = _units(text, max_width)
    begin, at = 0, 0
    while at < len(units):
        end = _line_end(units, at, max_width)
        line = "".join(units[at:end])
        lines.append((begin, line))
        begin += len(line)
        at = end
    return lines or [(0, "")]


def _line_end(units: Sequence[str], begin: int, max_width: int) -> int:
    used, end = 0, begin
    while end < len(units) and used + width(units[end].rstrip()) <= max_width:
        used += width(units[end])
        end += 1
    if end == len(units):
        return end
    end = max(end, begin + 1)
    for better in range(end, begin, -1):
        line = "".join(units[begin:better])
        if width(line) * 2 < max_width:
            break
        if line.rstrip()[-1:] in PAUSING:
            return better
    return end


_UNIT = re.compile(
    f"[{re.escape(OPENING)}]*"
    rf"(?:[^\W\u2e80-\uffff]+(?:['’._@-][^\W\u2e80-\uffff]+)*|.)"
    f"[{re.escape(CLOSING)}]*\\s*",
    re.DOTALL,
)


def _units(text: str, max_width: int) -> list[str]:
    """Cut a text into pieces that stay on one line: Latin words, single Chinese characters, their punctuation."""
    units = []
    for match in _UNIT.finditer(text):
        unit = match.group()
        while width(unit.rstrip()) > max_width:
            head = _head(unit, max_width)
            units.append(unit[:head])
            unit = unit[head:]
        units.append(unit)
    return units


def _head(text: str, max_width: int) -> int:
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > max_width:
            return max(1, index)
    return len(text)
