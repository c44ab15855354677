"""What is spoken in a chapter, sentence by sentence, with the pauses of a book."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from speech.books.dialogue import Passage, passages
from speech.books.errors import BookError
from speech.books.model import Chapter
from speech.text import Sentence, Style
from speech.text.sentences import split

LONGEST_PAUSE_MS = 10_000
_ENDED = re.compile(r"[。！？!?…；;.]['\"”’」』）)]*\s*$")


@dataclass(frozen=True)
class Pauses:
    """Silence in milliseconds after a sentence, a paragraph, a title and a chapter; each replaces the lesser one."""

    sentence: int = 280
    paragraph: int = 600
    title: int = 1000
    chapter: int = 1500

    @classmethod
    def of(cls, wanted: Mapping[str, int]) -> Pauses:
        """Return the pauses with the ``wanted`` ones replaced. Raises :class:`BookError` (``bad_pauses``)."""
        for name, value in wanted.items():
            if name not in cls.__dataclass_fields__ or not 0 <= value <= LONGEST_PAUSE_MS:
                raise BookError(
                    f"pauses: {name}={value} must be one of {', '.join(cls.__dataclass_fields__)} and 0 to "
                    f"{LONGEST_PAUSE_MS} milliseconds",
                    code="bad_pauses",
                )
        return cls(**wanted)


class Speaker(Protocol):
    """The front end, as far as a script needs it."""

    def sentences(
        self, text: str, *, markup: Literal["inline", "ssml", "none"] = ..., style: Style = ...
    ) -> list[Sentence]:
        """Return the sentences of a text."""


def script(
    chapter: Chapter,
    front_end: Speaker,
    *,
    style: Style | None = None,
    dialogue: Style | None = None,
    speak_title: bool = True,
    pauses: Pauses | None = None,
    markup: Literal["inline", "ssml", "none"] = "none",
) -> list[Sentence]:
    """Return the sentences of a chapter in order, the title first; the same input always gives the same sentences.

    ``pause_ms`` of each sentence is the silence after it: what its markup asks for plus what a book needs there.
    ``dialogue`` is the style of quoted speech, by default that of everything else. With ``markup="ssml"`` dialogue is
    not looked for, since tags may span quotations. Raises TextError for bad markup, with the paragraph's position.
    """
    style, pauses = style or Style(), pauses or Pauses()
    said: list[Sentence] = []
    if speak_title and chapter.title:
        said += _ended(front_end.sentences(chapter.title, markup="none", style=style), pauses, pauses.title)
    for paragraph in chapter.paragraphs:
        whole = dialogue is None or markup == "ssml"
        parts = [Passage(paragraph, quoted=False)] if whole else passages(paragraph)
        sentences = list(_paragraph(parts, front_end, style, dialogue or style, markup))
        said += _ended(sentences, pauses, pauses.paragraph)
    if said:
        last = len(said) - 1 - next((i for i, one in enumerate(reversed(said)) if one.symbols), 0)
        said[last] = replace(said[last], pause_ms=max(said[last].pause_ms, pauses.chapter), ends_paragraph=True)
    return said


def expected_sentences(chapter: Chapter, *, speak_title: bool = True) -> int:
    """Estimate how many sentences `script` returns; markup, dialogue and very long sentences make it more or fewer."""
    titles = 1 if speak_title and chapter.title else 0
    return titles + sum(len(split(paragraph)) for paragraph in chapter.paragraphs)


def _paragraph(
    parts: Sequence[Passage],
    front_end: Speaker,
    style: Style,
    dialogue: Style,
    markup: Literal["inline", "ssml", "none"],
) -> Iterator[Sentence]:
    for index, part in enumerate(parts):
        found = front_end.sentences(part.text, markup=markup, style=dialogue if part.quoted else style)
        for sentence in found[:-1]:
            yield sentence
        for sentence in found[-1:]:
            yield replace(sentence, ends_paragraph=index == len(parts) - 1)


def _ended(sentences: Sequence[Sentence], pauses: Pauses, after: int) -> list[Sentence]:
    """Put a sentence's pause after each sentence, half of it where one breaks off, and ``after`` at the end."""
    ended = [
        replace(
            sentence,
            pause_ms=sentence.pause_ms
            + (pauses.paragraph if sentence.ends_paragraph else _within(sentence, pauses.sentence)),
        )
        for sentence in sentences[:-1]
    ]
    ended += [replace(one, pause_ms=one.pause_ms + after, ends_paragraph=True) for one in sentences[-1:]]
    return ended


def _within(sentence: Sentence, pause: int) -> int:
    return pause if _ENDED.search(sentence.text) else pause // 2
