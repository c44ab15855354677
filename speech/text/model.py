"""What the front end hands out: sentences with their words and the style they are spoken in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Style:
    """How a stretch of text is spoken.

    ``voice`` None means the job's voice; ``emotion`` is a name without its ``emotion_`` prefix; ``speed`` 0.5–2.
    """

    voice: str | None = None
    speaker: str = "F7"
    emotion: str = "neutral"
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Word:
    """A word as written and its symbols ``[first, last)`` in the line; breaks around it are not part of the range.

    A written number that is spoken as several words (``2026``) is one word here; its range spans the breaks inside.
    """

    text: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line for the acoustic model.

    ``text`` is the original text (for subtitles), ``symbols`` the symbol line without index, empty if nothing in the
    text can be spoken, ``pause_ms`` extra silence to put after the sentence.
    """

    text: str
    symbols: str
    words: tuple[Word, ...] = ()
    style: Style = Style()
    pause_ms: int = 0
    ends_paragraph: bool = False
    warnings: tuple[str, ...] = ()
