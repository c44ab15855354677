"""Finding speech in a stream: Silero VAD's probabilities, and the spans of speech they mean, block by block.

The spans are those that faster-whisper's ``get_speech_timestamps`` finds with its batched settings (a test holds the
two against each other), but they are known while the file is still being decoded, so that an hour of audio never has
to be in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speech.stt.chunks import RATE

WINDOW = 512
"""Samples that one probability covers (Silero VAD at 16 kHz)."""
CONTEXT = 64
"""Samples before a window that the network sees as well."""


class Span(NamedTuple):
    """Speech in samples of the stream, [first, last) with padding; ``pause`` is the whole silence before it."""

    first: int
    last: int
    pause: int = 0


@dataclass(frozen=True)
class SpeechRules:
    """When sound counts as speech.

    ``threshold``: speech begins at this probability, and goes on until it falls ``hysteresis`` below. Silence of
    ``min_silence`` seconds ends a span; a span of ``max_speech`` seconds is cut at its last silence of
    ``breath`` seconds, or, if it has none, where it is. ``pad`` seconds are kept on both sides, half of the silence if
    that is shorter. Too little padding clips consonants, too short a silence cuts inside words.
    """

    threshold: float = 0.5
    hysteresis: float = 0.15
    min_silence: float = 0.16
    breath: float = 0.098
    pad: float = 0.4
    max_speech: float = 30.0

    @property
    def longest(self) -> float:
        """Most samples of one span before padding, such that it fits ``max_speech`` with it."""
        return RATE * (self.max_speech - 2 * self.pad) - WINDOW


class Probabilities:
    """Silero VAD over a stream: feed it blocks, it answers one probability for each whole window."""

    def __init__(self) -> None:
        from faster_whisper.vad import get_vad_model

        self._session = get_vad_model().session
        self._h = np.zeros((1, 1, 128), np.float32)
        self._c = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)

    def feed(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities of the windows that are whole now."""
        audio = np.concatenate([self._rest, block]) if len(self._rest) else block
        whole = len(audio) // WINDOW * WINDOW
        self._rest = audio[whole:].copy()
        return self._run(audio[:whole])

    def close(self) -> NDArray[np.float32]:
        """Return the probability of the last window, filled up with silence."""
        last = np.zeros(WINDOW, np.float32)
        last[: len(self._rest)] = self._rest
        last[-CONTEXT:] = 0  # as the library does
        return self._run(last)

    def _run(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        if not len(audio):
            return np.zeros(0, np.float32)
        windows = audio.reshape(-1, WINDOW)
        before = np.concatenate([self._context[None], windows[:-1, -CONTEXT:]])
        inputs = {"input": np.concatenate([before, windows], axis=1), "h": self._h, "c": self._c}
        found, self._h, self._c = self._session.run(None, inputs)
        self._context = windows[-1, -CONTEXT:].copy()
        return np.asarray(found, np.float32).reshape(-1)


class SpeechFinder:
    """Turns probabilities into spans of speech; a span is given out as soon as nothing can change it."""

    def __init__(self, rules: SpeechRules) -> None:
        self._rules = rules
        self._now = 0
        self._start: int | None = None
        self._falling = 0  # where the probability fell, while it has not risen again
        self._breath_end = 0  # where the last silence began at which a too long span may be cut
        self._breath_next = 0  # where speech went on after that silence
        self._found: list[Span] = []
        self._last_end = 0
        self._first_padded: int | None = None  # padded start of the first span that waits in _found

    @property
    def open_from(self) -> int:
        """The first sample that a later span can still need."""
        pad = int(RATE * self._rules.pad)
        waiting = [self._first_padded] if self._first_padded is not None else []
        running = [self._start - pad] if self._start is not None else []
        return max(0, min([*waiting, *running, self._now - 2 * pad - WINDOW]))

    def feed(self, probabilities: NDArray[np.float32]) -> list[Span]:
        """Return the spans that are final after these windows, padded."""
        for probability in probabilities.tolist():
            self._window(probability)
            self._now += WINDOW
        return list(self._settled(None))

    def close(self, length: int) -> list[Span]:
        """Return the remaining spans of a stream of so many samples."""
        if self._start is not None and self._start < length:
            self._found.append(Span(self._start, length))
        self._start = None
        return list(self._settled(length))

    def _window(self, probability: float) -> None:
        rules, here = self._rules, self._now
        loud = probability >= rules.threshold
        if loud and self._falling:
            self._falling = 0
            if self._breath_next < self._breath_end:
                self._breath_next = here
        if self._start is None:
            if loud:
                self._start = here
            return
        if here - self._start > rules.longest:
            if not self._breath_end:
                self._end(here)
                return
            goes_on = self._breath_next if self._breath_next >= self._breath_end else None
            self._end(self._breath_end)
            self._start = goes_on
        quiet = probability < max(rules.threshold - rules.hysteresis, 0.01)
        if quiet and self._start is not None:
            self._quiet(here)

    def _quiet(self, here: int) -> None:
        self._falling = self._falling or here
        silence = here - self._falling
        if silence > RATE * self._rules.breath:
            self._breath_end = self._falling
        if silence >= RATE * self._rules.min_silence:
            self._end(self._falling)

    def _end(self, last: int) -> None:
        if self._start is not None and last > self._start:
            self._found.append(Span(self._start, last))
        self._start = None
        self._falling = self._breath_end = self._breath_next = 0

    def _settled(self, length: int | None) -> Iterator[Span]:
        """Give out the spans whose right neighbour, or its absence, is known."""
        pad = int(RATE * self._rules.pad)
        while self._found:
            span = self._found[0]
            first = self._first_padded
            if first is None:
                first = max(0, span.first - pad)
            following = self._found[1].first if len(self._found) > 1 else self._start
            if following is None and length is None and self._now <= span.last + 2 * pad + WINDOW:
                self._first_padded = first
                return
            self._first_padded = None
            last = span.last + pad
            if following is not None:
                gap = following - span.last
                last = span.last + (gap // 2 if gap < 2 * pad else pad)
                self._first_padded = max(0, following - (gap // 2 if gap < 2 * pad else pad))
            yield Span(first, last if length is None else min(last, length), span.first - self._last_end)
            self._last_end = span.last
            self._found.pop(0)


def speech_spans(blocks: Iterable[NDArray[np.float32]], rules: SpeechRules) -> Iterator[Span]:
    """Yield the padded spans of speech of a whole stream; for files that are cut elsewhere."""
    heard, finder, length = Probabilities(), SpeechFinder(rules), 0
    for block in blocks:
        length += len(block)
        yield from finder.feed(heard.feed(block))
    yield from finder.feed(heard.close())
    yield from finder.close(length)
