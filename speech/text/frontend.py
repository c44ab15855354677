"""The front end: text in, sentences with symbol lines out."""

from __future__ import annotations

import itertools
import re
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from speech.errors import TextError
from speech.text.compose import compose
from speech.text.cutting import cut
from speech.text.lexicon import Lexicon, Words
from speech.text.markup import Stretch, emotion_of, parse_inline, speed_of, voice_of
from speech.text.model import Sentence, Style, Word
from speech.text.normalise import normalise
from speech.text.prosody import set_breaks
from speech.text.sandhi import apply_sandhi
from speech.text.sentences import Span, split
from speech.text.ssml import parse_ssml
from speech.text.symbols import Look, Unit, build_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from speech.text.pieces import Piece

Markup = Literal["inline", "ssml", "none"]
_FEWEST_SYMBOLS = 64
# Signs that open something: at a cut they go with what follows.
_OPENERS = frozenset('“‘「『（(《〈【["')
_SURROGATES = re.compile("[\ud800-\udfff]")
NOTHING = "nothing in this sentence can be spoken"


class FrontEnd:
    """Mandarin text (with English words) to the symbol lines of the voices.

    ``dictionary``: words with their reading (see :mod:`speech.text.lexicon`).
    ``max_symbols``: longer lines are cut; a second of speech has about ten symbols. ``break_emotion``: whether break
    symbols carry the sentence's emotion or ``emotion_none`` (specification 1.4).
    One instance may be used by many threads at once. Raises TextError for a bad dictionary or limit.
    """

    def __init__(
        self,
        dictionary: Words = (),
        max_symbols: int = 400,
        break_emotion: Literal["none", "sentence"] = "none",
    ) -> None:
        if max_symbols < _FEWEST_SYMBOLS:
            raise TextError(f"max_symbols is {max_symbols}; a line needs at least {_FEWEST_SYMBOLS}", code="bad_limit")
        if break_emotion not in ("none", "sentence"):
            raise TextError(f"break_emotion is {break_emotion!r}; it is none or sentence", code="bad_option")
        self._lexicon = Lexicon(dictionary)
        self._max_symbols = max_symbols
        self._breaks_carry_emotion = break_emotion == "sentence"

    def with_words(self, dictionary: Mapping[str, str]) -> FrontEnd:
        """Return a front end whose dictionary is this one's with further words, whose readings go before its own.

        Raises TextError for a bad word.
        """
        other = copy(self)
        other._lexicon = Lexicon(dictionary, under=self._lexicon)  # noqa: SLF001 - one of our own kind
        return other

    @property
    def readings(self) -> str:
        """A hash of the dictionary: front ends with equal ones read a text alike."""
        return self._lexicon.digest

    def plain(self, text: str) -> list[Sentence]:
        """Return the sentences of a text without any markup."""
        return self.sentences(text, markup="none")

    def sentences(self, text: str, *, markup: Markup = "inline", style: Style = Style()) -> list[Sentence]:  # noqa: B008 - frozen
        """Return the sentences of a text in order; their texts joined are the text without markup and outer blanks.

        A sentence without anything to speak has no symbols and a warning. Raises TextError for bad markup.
        """
        found: list[Sentence] = []
        for stretch in stretches_of(text, markup, style):
            for sentence in self._stretch(stretch):
                if _is_rest(sentence, found):
                    found[-1] = _joined(found[-1], sentence)
                else:
                    found.append(sentence)
        return found

    def _stretch(self, stretch: Stretch) -> Iterator[Sentence]:
        spans = _whole(split(stretch.text), stretch.given)
        cues: list[Sentence] = []
        given = 0
        for span in spans:
            inside: list[Piece] = []
            while given < len(stretch.given) and (
                stretch.given[given].start < span.end or (span is spans[-1] and stretch.given[given].start == span.end)
            ):
                inside.append(stretch.given[given])
                given += 1
            text = stretch.text[span.start : span.end]
            cues.extend(
                self._sentence(
                    text, [_moved(piece, -span.start) for piece in inside], stretch.style, span.ends_paragraph
                )
            )
        if not spans and stretch.given:
            cues.extend(self._sentence("", list(stretch.given), stretch.style, ends_paragraph=False))
        if cues:
            last = cues[-1]
            cues[-1] = replace(
                last, pause_ms=stretch.pause_ms, ends_paragraph=last.ends_paragraph and stretch.ends_paragraph
            )
        elif stretch.pause_ms:
            cues.append(Sentence("", "", (), stretch.style, stretch.pause_ms, stretch.ends_paragraph))
        yield from cues

    def _sentence(self, text: str, given: list[Piece], style: Style, ends_paragraph: bool) -> list[Sentence]:  # noqa: FBT001
        if not text.strip() and not given:
            return []
        units, warnings = compose(normalise(text, self._lexicon.find(text, given)))
        if not units:
            return [Sentence(text.strip(), "", (), style, 0, ends_paragraph, (*warnings, NOTHING))]
        look = Look(style.emotion, style.speaker, self._breaks_carry_emotion)
        groups = cut(units, self._max_symbols, text)
        bounds = [
            0,
            *(_boundary(text, after[-1], group[0]) for after, group in itertools.pairwise(groups)),
            len(text),
        ]
        found = []
        for number, group in enumerate(groups):
            start, end = bounds[number], bounds[number + 1]
            set_breaks(group)
            apply_sandhi(group)
            line, ranges = build_line(group, look)
            found.append(
                Sentence(
                    text=text[start:end].strip(),
                    symbols=line,
                    words=_words(text, group, ranges, start),
                    style=style,
                    ends_paragraph=ends_paragraph and number == len(groups) - 1,
                    warnings=tuple(warnings) if number == 0 else (),
                )
            )
        return found


def _whole(spans: list[Span], given: Sequence[Piece]) -> list[Span]:
    """Join the sentences that a given reading (a phoneme element over “好。坏”) reaches across."""
    found: list[Span] = []
    index = 0
    for span in spans:
        while index < len(given) and given[index].end <= span.start:
            index += 1
        if found and index < len(given) and given[index].start < span.start:
            found[-1] = replace(span, start=found[-1].start)
        else:
            found.append(span)
    return found


def stretches_of(text: str, markup: Markup, style: Style) -> list[Stretch]:
    """Return the stretches of one style in a text; raises TextError for bad markup or a style that no voice has.

    Halves of characters (lone surrogates, which JSON can carry) become U+FFFD, so that every text can be written.
    """
    emotion_of(style.emotion, "the style's emotion")
    voice_of(style.speaker, "the style's speaker")
    speed_of(str(style.speed), "the style's speed")
    text = _SURROGATES.sub("\ufffd", text)
    if markup == "ssml":
        return parse_ssml(text, style)
    if markup == "inline":
        return parse_inline(text, style)
    if markup == "none":
        return [Stretch(text, style)]
    raise TextError(f"markup is {markup!r}; it is inline, ssml or none", code="bad_option")


def _words(text: str, units: Sequence[Unit], ranges: Sequence[tuple[int, int]], start: int) -> tuple[Word, ...]:
    """Return a word per written word: the spoken words of a number share their stretch and become one."""
    words: list[Word] = []
    end = -1
    for unit, (first, last) in zip(units, ranges, strict=True):
        if words and unit.start < end:
            words[-1] = Word(words[-1].text, words[-1].first, last)
        elif unit.start >= start and (shown := text[unit.start : unit.end].strip()):
            words.append(Word(shown, first, last))
            end = unit.end
    return tuple(words)


def _boundary(text: str, before: Unit, after: Unit) -> int:
    """Where the text is cut between two units: after the punctuation, before an opening quotation mark."""
    at = max(before.end, min(after.start, len(text)))
    while at > before.end and text[at - 1] in _OPENERS:
        at -= 1
    return at


def _is_rest(sentence: Sentence, found: list[Sentence]) -> bool:
    """Tell whether a sentence is only the punctuation that a mark has cut off from the sentence before it."""
    return bool(
        found and not sentence.symbols and sentence.text and found[-1].symbols and not found[-1].ends_paragraph
        and not found[-1].pause_ms and sentence.warnings == (NOTHING,)
    )  # fmt: skip


def _joined(sentence: Sentence, rest: Sentence) -> Sentence:
    return replace(sentence, text=sentence.text + rest.text, pause_ms=rest.pause_ms, ends_paragraph=rest.ends_paragraph)


def _moved(piece: Piece, by: int) -> Piece:
    return replace(piece, start=piece.start + by, end=piece.end + by)
