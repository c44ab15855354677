"""The closed front end (the ``ttsfrd`` package), for those who have it: same interface as our own.

It knows nothing of our inline readings and dictionary; sentences are cut by our rules, so that texts and times stay
exact, and each goes through the closed engine. Written from what is public of the package, which was never run here.
"""

from __future__ import annotations

import importlib
import importlib.util
import threading
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from speech.errors import ModelError
from speech.text.characters import is_han
from speech.text.check import parse_line
from speech.text.frontend import NOTHING, Markup, stretches_of
from speech.text.model import Sentence, Style, Word
from speech.text.sentences import split
from speech.text.symbols import BREAKS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from speech.text.check import Symbol


# The closed engine's names for the languages of the linguistic units (specification 4.1); one of its two known callers
# gives it the linguistic units' own names.
_LANGUAGES = {"PinYin": "zh-cn", "ZhHK": "hk_cantonese", "Sichuan": "sichuan"}


_NO_DICTIONARY = "the words of a dictionary are not used by the closed front end"
_NO_MARKS = "readings given by marks are not used by the closed front end"


def is_available() -> bool:
    """Tell whether the closed package is installed."""
    return importlib.util.find_spec("ttsfrd") is not None


def _module() -> Any:
    """Return the package; raise ModelError that says why it cannot be had (its library is made for few systems)."""
    try:
        return importlib.import_module("ttsfrd")
    except ImportError as error:
        raise ModelError(
            f"the front end ttsfrd was asked for and cannot be imported ({error}): install the package ttsfrd for this "
            "Python, or set the front end to own, which needs nothing",
            code="library_missing",
        ) from error


class ClosedFrontEnd:
    """Sentences by the closed engine. Calls are serialised by a lock: nothing is known of its threads.

    ``resource`` is the folder ``resource`` of a downloaded voice model. Raises ModelError if package or folder lack.
    """

    def __init__(
        self,
        resource: str | PathLike[str],
        *,
        language: str = "PinYin",
        break_emotion: Literal["none", "sentence"] = "none",
    ) -> None:
        self._engine: Any = _module().TtsFrontendEngine()
        if not Path(resource).is_dir():
            raise ModelError(f"{resource}: the folder 'resource' of the voice model is missing (unpack resource.zip)")
        if not self._engine.initialize(str(resource)):
            raise ModelError(f"{resource}: ttsfrd refuses this folder; take the one of the voice's own resource.zip")
        if not any(self._engine.set_lang_type(name) for name in (_LANGUAGES.get(language, language), language)):
            raise ModelError(f"{resource}: ttsfrd does not read the language {language} with this folder")
        self._breaks_carry_emotion = break_emotion == "sentence"
        self._notes: tuple[str, ...] = ()
        self._lock = threading.Lock()
        self.readings = f"ttsfrd {language} {Path(resource).resolve()}"
        """What a result depends on beside the text, as :attr:`speech.text.FrontEnd.readings`."""

    def with_words(self, dictionary: Mapping[str, str]) -> ClosedFrontEnd:
        """Return this front end, whose sentences say that it reads no dictionary of words if there are any."""
        other = copy(self)
        other._notes = (_NO_DICTIONARY,) if dictionary else ()  # noqa: SLF001 - one of our own kind
        return other

    def plain(self, text: str) -> list[Sentence]:
        """Return the sentences of a text without any markup."""
        return self.sentences(text, markup="none")

    def sentences(self, text: str, *, markup: Markup = "inline", style: Style = Style()) -> list[Sentence]:  # noqa: B008 - frozen
        """Return the sentences of a text in order; raises TextError for bad markup."""
        found: list[Sentence] = []
        for stretch in stretches_of(text, markup, style):
            warnings = (*self._notes, *((_NO_MARKS,) if stretch.given else ()))
            spans = [span for span in split(stretch.text) if stretch.text[span.start : span.end].strip()]
            for span in spans:
                last = span is spans[-1]
                found.extend(
                    self._sentence(
                        stretch.text[span.start : span.end].strip(),
                        stretch.style,
                        pause_ms=stretch.pause_ms if last else 0,
                        ends_paragraph=span.ends_paragraph and (stretch.ends_paragraph or not last),
                        warnings=warnings,
                    )
                )
        return found

    def _sentence(
        self, text: str, style: Style, *, pause_ms: int, ends_paragraph: bool, warnings: tuple[str, ...]
    ) -> list[Sentence]:
        with self._lock:
            answer = str(self._engine.gen_tacotron_symbols(text))
        lines = [line.split("\t", 1)[-1].strip() for line in answer.splitlines() if line.strip()]
        lines = [line for line in lines if line]
        if not lines:
            return [Sentence(text, "", (), style, pause_ms, ends_paragraph, (*warnings, NOTHING))]
        parsed = [parse_line(line) for line in lines]
        found = []
        for number, symbols in enumerate(parsed):
            last = number == len(parsed) - 1
            words = _words(text, symbols) if len(parsed) == 1 else ()
            found.append(
                Sentence(
                    text if number == 0 else "", self._dressed(symbols, style), words, style, pause_ms if last else 0,
                    last and ends_paragraph, warnings,
                )
            )  # fmt: skip
        return found

    def _dressed(self, symbols: list[Symbol], style: Style) -> str:
        """Put the style's emotion and speaker into the line."""
        emotion = f"emotion_{style.emotion}"
        dressed = []
        for phone, tone, flag, segment, *_ in symbols:
            carried = emotion if phone not in BREAKS or self._breaks_carry_emotion else "emotion_none"
            dressed.append(f"{{{phone}${tone}${flag}${segment}${carried}${style.speaker}}}")
        return " ".join(dressed)


def _words(text: str, symbols: list[Symbol]) -> tuple[Word, ...]:
    """Words by the engine's flags, if its syllables are one for one the characters of the text; else none."""
    places = [at for at, char in enumerate(text) if is_han(char)]
    if any(char.isalnum() and not is_han(char) for char in text):
        return ()
    words: list[Word] = []
    first = syllables = taken = 0
    for index, (_, _, flag, segment, *_) in enumerate(symbols):
        if segment in ("word_begin", "word_both"):
            first, syllables = index, 0
        syllables += flag in ("s_end", "s_both")
        if segment in ("word_end", "word_both"):
            if taken + syllables > len(places):
                return ()
            span = places[taken : taken + syllables]
            if span:
                words.append(Word(text[span[0] : span[-1] + 1], first, index + 1))
            taken += syllables
    return tuple(words) if taken == len(places) else ()
