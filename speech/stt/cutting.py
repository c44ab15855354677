"""Cutting a stream of audio into chunks that fit the model's window, while it is being decoded.

Memory is bounded by one chunk and one block, however long the file: what no chunk can need any more is forgotten.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from speech.stt.chunks import RATE, Piece
from speech.stt.vad import Probabilities, Span, SpeechFinder, SpeechRules

SHORTEST = RATE // 50
"""Samples (20 ms) below which a clip holds no word and the model's aligner fails."""

SEARCH = 4 * RATE
"""Samples at the end of a window among whose pauses the longest is taken to cut at. More: fewer torn sentences (they
cost words: a window that begins or ends inside one is guessed at), but emptier windows, so more of them."""
TELLING = RATE // 10
"""Samples by which a pause must be longer to be the better one."""

Audio = NDArray[np.float32]


class Cut(NamedTuple):
    """One model window of speech: its pieces, and their audio joined."""

    pieces: tuple[Piece, ...]
    audio: Audio


class Cutter(Protocol):
    """Takes blocks of one channel, gives cuts."""

    def feed(self, block: Audio) -> list[Cut]:
        """Return the cuts that are complete after this block."""

    def close(self) -> list[Cut]:
        """Return what is left."""


class Tape:
    """The part of the stream that may still be needed."""

    def __init__(self) -> None:
        self._blocks: deque[Audio] = deque()
        self._first = 0
        self.length = 0

    def append(self, block: Audio) -> None:
        """Add the next samples of the stream."""
        self._blocks.append(block)
        self.length += len(block)

    def copy(self, first: int, last: int) -> Audio:
        """Return samples [first, last) of the stream."""
        parts, here = [], self._first
        for block in self._blocks:
            if here < last and here + len(block) > first:
                parts.append(block[max(0, first - here) : last - here])
            here += len(block)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def forget(self, before: int) -> None:
        """Drop the blocks that end before this sample."""
        while self._blocks and self._first + len(self._blocks[0]) <= before:
            self._first += len(self._blocks.popleft())


class _Part(NamedTuple):
    """A span of speech that waits for its window to fill."""

    piece: Piece
    audio: Audio
    pause: int


class SpeechCutter:
    """Packs spans of speech into windows: as many as fit, without the silence between them."""

    def __init__(self, window_seconds: float) -> None:
        self._window = int(window_seconds * RATE)
        self._heard = Probabilities()
        self._finder = SpeechFinder(SpeechRules(max_speech=window_seconds))
        self._tape = Tape()
        self._waiting: list[_Part] = []

    def feed(self, block: Audio) -> list[Cut]:
        """Return the cuts that are complete after this block."""
        self._tape.append(block)
        cuts = list(self._pack(self._finder.feed(self._heard.feed(block))))
        self._tape.forget(self._finder.open_from)
        return cuts

    def close(self) -> list[Cut]:
        """Return what is left."""
        spans = self._finder.feed(self._heard.close()) + self._finder.close(self._tape.length)
        return [*self._pack(spans), *self._flush(len(self._waiting))]

    def _pack(self, spans: list[Span]) -> Iterator[Cut]:
        for span in spans:
            while self._waiting and self._packed() + span.last - span.first > self._window:
                yield from self._flush(self._best_cut(span))
            audio = self._tape.copy(span.first, span.last)
            if len(audio):
                self._waiting.append(_Part(Piece(span.first, span.first + len(audio)), audio, span.pause))

    def _packed(self) -> int:
        return sum(len(part.piece) for part in self._waiting)

    def _best_cut(self, following: Span) -> int:
        """Return how many of the waiting spans make the next window: up to the longest pause near its end."""
        pauses = [*(part.pause for part in self._waiting[1:]), following.pause]
        ends = itertools.accumulate(len(part.piece) for part in self._waiting)
        enough = self._window - SEARCH
        late = [count for count, end in enumerate(ends, 1) if end >= enough] or [len(self._waiting)]
        return max(late, key=lambda count: (pauses[count - 1] // TELLING, count))

    def _flush(self, count: int) -> Iterator[Cut]:
        parts, self._waiting = self._waiting[:count], self._waiting[count:]
        if sum(len(part.audio) for part in parts) >= SHORTEST:
            yield Cut(tuple(part.piece for part in parts), np.concatenate([part.audio for part in parts]))


class PauseCutter:
    """Cuts everything, speech or not, into windows: at the quietest place in the last third of each."""

    HOP = RATE // 50

    def __init__(self, window_seconds: float) -> None:
        self._window = int(window_seconds * RATE)
        self._tape = Tape()
        self._from = 0

    def feed(self, block: Audio) -> list[Cut]:
        """Return the cuts that are complete after this block."""
        self._tape.append(block)
        cuts = []
        while self._tape.length - self._from > self._window:
            audio = self._tape.copy(self._from, self._from + self._window)
            cuts.append(self._take(audio[: self._quietest(audio)]))
        self._tape.forget(self._from)
        return cuts

    def close(self) -> list[Cut]:
        """Return what is left."""
        rest = self._tape.copy(self._from, self._tape.length)
        return [self._take(rest)] if len(rest) >= SHORTEST else []

    def _take(self, audio: Audio) -> Cut:
        piece = Piece(self._from, self._from + len(audio))
        self._from = piece.last
        return Cut((piece,), audio)

    def _quietest(self, audio: Audio) -> int:
        begin = len(audio) * 2 // 3
        frames = audio[begin : begin + (len(audio) - begin) // self.HOP * self.HOP].reshape(-1, self.HOP)
        energy = np.convolve(np.square(frames).mean(axis=1), np.ones(5) / 5, mode="same")
        return begin + int(energy.argmin()) * self.HOP + self.HOP // 2


def cutter(window_seconds: float, *, vad: bool) -> Cutter:
    """Return what cuts one channel."""
    return SpeechCutter(window_seconds) if vad else PauseCutter(window_seconds)
