"""From what was synthesised to subtitles: the times of sentences and words, exact to the frame of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from speech.subtitles import Cue, CueWord


class SpokenWord(Protocol):
    """A word and its symbols ``[first, last)`` in the sentence's line."""

    @property
    def text(self) -> str:
        """As written."""

    @property
    def first(self) -> int:
        """Index of its first symbol."""

    @property
    def last(self) -> int:
        """Index after its last symbol."""


class SpokenSentence(Protocol):
    """What subtitles need of a sentence of the front end."""

    @property
    def text(self) -> str:
        """As written."""

    @property
    def words(self) -> Sequence[SpokenWord]:
        """Its words, in order."""


class Rendered(Protocol):
    """What subtitles need of an utterance: its samples and the frames of each symbol."""

    @property
    def audio(self) -> NDArray[Any]:
        """Samples, [n]."""

    @property
    def durations(self) -> NDArray[Any]:
        """Frames per symbol, [symbols]."""

    @property
    def hop_length(self) -> int:
        """Samples per frame."""

    @property
    def sample_rate(self) -> int:
        """Hz."""


class Timeline:
    """Sentences laid one after another; ``samples`` is the position after the last one and its gap.

    Feed it while the audio is written: nothing of the audio is kept.
    """

    def __init__(self, rate: int, *, samples: int = 0) -> None:
        self.rate = rate
        self.samples = samples

    @property
    def seconds(self) -> float:
        """The position in seconds."""
        return self.samples / self.rate

    def pause(self, seconds: float) -> int:
        """Move past a silence and return its samples."""
        samples = round(seconds * self.rate)
        self.samples += samples
        return samples

    def add(self, sentence: SpokenSentence, samples: int, durations: NDArray[Any], hop_length: int) -> Cue:
        """Place a sentence of ``samples`` samples and return its cue; ``durations`` are frames of each symbol.

        The cue reaches from its first word to its last, without the silence around them. Without words it is as long
        as the audio.
        """
        begin = self.samples
        edges = np.concatenate([[0], np.cumsum(durations)]) * hop_length
        self.samples += samples

        def at(symbol: int) -> float:
            inside = min(int(edges[min(max(symbol, 0), len(edges) - 1)]), samples)
            return (begin + inside) / self.rate

        words = tuple(CueWord(at(word.first), at(word.last), word.text) for word in sentence.words)
        start, end = (words[0].start, words[-1].end) if words else (begin / self.rate, self.samples / self.rate)
        return Cue(start, end, sentence.text, words)


def cues_of(
    sentences: Iterable[SpokenSentence],
    utterances: Iterable[Rendered | None],
    gaps: Iterable[float] = (),
) -> list[Cue]:
    """Return a cue for each spoken sentence, in seconds of the joined audio.

    ``utterances`` has an entry for each sentence, None for one that was skipped (no cue, no time). ``gaps`` are the
    seconds of silence after each sentence, skipped ones included; missing ones are 0.
    """
    cues: list[Cue] = []
    timeline: Timeline | None = None
    lead = 0.0  # silence before the first utterance tells the rate
    for sentence, utterance, gap in zip(sentences, utterances, chain(gaps, repeat(0.0)), strict=False):
        if utterance is not None:
            timeline = timeline or Timeline(utterance.sample_rate, samples=round(lead * utterance.sample_rate))
            if utterance.sample_rate != timeline.rate:
                raise ValueError(
                    f"utterances of one file need one sample rate, not {timeline.rate} and {utterance.sample_rate} Hz"
                )
            cues.append(timeline.add(sentence, utterance.audio.size, utterance.durations, utterance.hop_length))
        if timeline is None:
            lead += gap
        else:
            timeline.pause(gap)
    return cues
