"""What a recording says: the results of its chunks put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from speech.stt.chunks import ChunkResult, Spoken, Word
from speech.stt.languages import vote
from speech.stt.prepare import Notice, Preparation
from speech.stt.script import Converter, converter
from speech.stt.seams import stitched

NO_SPACES = frozenset({"zh", "yue", "ja", "th", "lo", "my", "km", "bo"})
"""Languages written without spaces between sentences."""


@dataclass(frozen=True)
class Segment(Spoken):
    """A sentence or so of the whole recording: its text in the wanted script, without outer spaces.

    ``id`` counts from 0. ``channel`` counts from 0 where channels were kept apart, else it is None.
    """

    id: int = field(kw_only=True)
    channel: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Transcript:
    """The words of a recording. ``duration`` is seconds; ``language`` is "" when nobody speaks and none was given."""

    text: str
    language: str
    language_probability: float
    duration: float
    segments: list[Segment]
    warnings: list[Notice] = field(default_factory=list)
    task: str = "transcribe"


def assemble(preparation: Preparation, results: Iterable[ChunkResult]) -> Transcript:
    """Return the transcript of a file from the results of all its chunks, in any order."""
    options = preparation.options
    heard = list(results)
    settled = preparation.vote or vote(heard)
    only = next((result.language for result in heard if result.language), "")  # a model that knows one language
    language = settled.language if settled else only
    kept = stitched(_one_each(heard, language))
    convert = converter(options.script, language if options.task == "transcribe" else "en")
    spoken = [(result, segment) for result in kept for segment in result.segments]
    spoken.sort(key=lambda pair: (pair[1].start, pair[0].channel, pair[1].end))
    split = options.channels == "split"
    segments = [
        _segment(number, segment, convert, result.channel if split else None, preparation.duration)
        for number, (result, segment) in enumerate(spoken)
    ]
    return Transcript(
        text=_joined(segments, language if options.task == "transcribe" else "en"),
        language=language,
        language_probability=settled.probability if settled else float(bool(only)),
        duration=preparation.duration,
        segments=segments,
        warnings=[*preparation.warnings, *_loops(kept)],
        task=options.task,
    )


def _one_each(results: Iterable[ChunkResult], language: str) -> list[ChunkResult]:
    """Return one result for each chunk: in the file's language if there is one, else the one there is."""
    kept: dict[int, ChunkResult] = {}
    for result in results:
        if result.index not in kept or result.language == language:
            kept[result.index] = result
    return [kept[index] for index in sorted(kept)]


def _segment(number: int, spoken: Spoken, convert: Converter, channel: int | None, duration: float) -> Segment:
    text = convert(spoken.text)
    start, end = min(spoken.start, duration), min(spoken.end, duration)
    words = None if spoken.words is None else _words(spoken.words, text, convert, start, end)
    shown = replace(spoken, start=start, end=end, text=text.strip(), words=words)
    return Segment(**vars(shown), id=number, channel=channel)


def _words(words: tuple[Word, ...], text: str, convert: Converter, start: float, end: float) -> tuple[Word, ...]:
    """Return the words in the script of the text, which was converted whole since phrases decide on characters."""
    same_length = len(text) == sum(len(word.text) for word in words)
    placed, position, now = [], 0, start
    for word in words:
        shown = text[position : position + len(word.text)] if same_length else convert(word.text)
        position += len(word.text)
        first = min(max(word.start, now), end)
        now = min(max(word.end, first), end)
        placed.append(Word(first, now, shown.strip(), word.probability))
    return tuple(placed)


def _joined(segments: list[Segment], language: str) -> str:
    space = "" if language in NO_SPACES else " "
    return space.join(segment.text for segment in segments)


def _loops(results: list[ChunkResult]) -> list[Notice]:
    return [
        Notice(
            "repetition",
            f"from {result.start:.2f} to {result.end:.2f} s the model repeated itself; one round of it was kept",
            result.start,
        )
        for result in results
        if result.verdict == "repetition"
    ]
