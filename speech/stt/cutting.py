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

from speech.stt.chunks import NOTHING, RATE, Piece
from speech.stt.vad import Probabilities, Span, SpeechFinder, SpeechRules

SHORTEST = RATE // 50
"""Samples (20 ms) below which a clip holds no word and the model's aligner fails."""

SEARCH = 4 * RATE
"""Samples at the end of a window among whose pauses the longest is taken to cut at. More: fewer torn sentences (they
cost words: a window that begins or ends inside one is guessed at), but emptier windows, so more of them."""
PLAIN = RATE * 2 // 5
"""Samples of silence that part sentences for sure: of longer pauses the latest is taken, so that windows are full."""
TELLING = RATE // 50
"""Samples by which a pause must be longer to be the better one."""
BREATH = RATE // 10
"""Samples of silence below which it is as likely a consonant."""
AHEAD = 0.5
"""Part of a window that a chunk knows of what follows it. Less: long sentences that a cut has torn stay torn. More:
longer to decode where a sentence is torn."""
FRAME = RATE // 100
"""Samples whose loudness is one figure."""

Audio = NDArray[np.float32]


class Cut(NamedTuple):
    """One model window of speech, and some of the speech that follows: the pieces of each, and their audio joined."""

    pieces: tuple[Piece, ...]
    audio: Audio
    ahead: tuple[Piece, ...]
    ahead_audio: Audio


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
    """A span of speech, or what is left of one, that waits for its window to fill; ``pause`` is the silence before."""

    piece: Piece
    audio: Audio
    pause: int


class Pause(NamedTuple):
    """A place to cut at, and the samples of silence around it."""

    place: int
    length: int


class SpeechCutter:
    """Packs spans of speech into windows, without the silence between them, and cuts where the longest pause is.

    Where a span ends is no such place by itself: a voice activity detector hears on for a while, so it misses every
    other short pause and cannot tell one between sentences (here some 240 ms) from one between words.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window = int(window_seconds * RATE)
        self._ahead = int(self._window * AHEAD)
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
        cuts = list(self._pack(spans))
        while self._waiting:
            cuts += self._flush(self._packed() if self._packed() <= self._window else self._best_cut())
        return cuts

    def _pack(self, spans: list[Span]) -> Iterator[Cut]:
        for span in spans:
            audio = self._tape.copy(span.first, span.last)
            if len(audio):
                self._waiting.append(_Part(Piece(span.first, span.first + len(audio)), audio, span.pause))
            while self._packed() >= self._window + self._ahead:
                yield from self._flush(self._best_cut())

    def _packed(self) -> int:
        return sum(len(part.piece) for part in self._waiting)

    def _best_cut(self) -> int:
        """Return how many of the waiting samples make the next window: up to the longest pause near its end."""
        audio = np.concatenate([part.audio for part in self._waiting])
        ends = np.cumsum([len(part.piece) for part in self._waiting])[:-1].tolist()
        left_out = [after.piece.first - one.piece.last for one, after in itertools.pairwise(self._waiting)]
        heard = [Pause(end, part.pause) for end, part in zip(ends, self._waiting[1:], strict=True)]
        seen = silences(audio, list(map(Pause, ends, left_out)))
        for pauses in (seen, heard):
            late = [each for each in pauses if self._window - SEARCH <= each.place <= self._window]
            if any(each.length >= BREATH for each in late):
                return max(late, key=lambda each: (min(each.length, PLAIN) // TELLING, each.place)).place
        return quietest(audio[: self._window], self._window - SEARCH)

    def _flush(self, samples: int) -> Iterator[Cut]:
        """Give out so many of the waiting samples; a span that is cut by that waits on with its rest."""
        now, self._waiting = _split(self._waiting, samples)
        if samples >= SHORTEST:
            follows = self._packed() >= SHORTEST  # else there is no chunk that has it
            yield Cut(*_joined(now), *_joined(_split(self._waiting, self._ahead)[0] if follows else []))


def _split(parts: list[_Part], samples: int) -> tuple[list[_Part], list[_Part]]:
    """Return the first so many samples, and the rest."""
    first, rest = [], list(parts)
    while samples and rest:
        part = rest.pop(0)
        if len(part.audio) > samples:
            cut = part.piece.first + samples
            rest.insert(0, _Part(Piece(cut, part.piece.last), part.audio[samples:], 0))
            part = _Part(Piece(part.piece.first, cut), part.audio[:samples], part.pause)
        first.append(part)
        samples -= len(part.audio)
    return first, rest


def _joined(parts: list[_Part]) -> tuple[tuple[Piece, ...], Audio]:
    return tuple(part.piece for part in parts), np.concatenate([NOTHING, *(part.audio for part in parts)])


class PauseCutter:
    """Cuts everything, speech or not, into windows: at the quietest place in the last third of each."""

    def __init__(self, window_seconds: float) -> None:
        self._window = int(window_seconds * RATE)
        self._ahead = int(self._window * AHEAD)
        self._tape = Tape()
        self._from = 0

    def feed(self, block: Audio) -> list[Cut]:
        """Return the cuts that are complete after this block."""
        self._tape.append(block)
        cuts = list(self._full(self._window + self._ahead))
        self._tape.forget(self._from)
        return cuts

    def close(self) -> list[Cut]:
        """Return what is left."""
        cuts = list(self._full(self._window + 1))
        rest = self._tape.length - self._from
        return [*cuts, self._take(rest)] if rest >= SHORTEST else cuts

    def _full(self, enough: int) -> Iterator[Cut]:
        """Give windows while so many samples wait."""
        while self._tape.length - self._from >= enough:
            audio = self._tape.copy(self._from, self._from + self._window)
            yield self._take(quietest(audio, len(audio) * 2 // 3))

    def _take(self, samples: int) -> Cut:
        piece = Piece(self._from, self._from + samples)
        ahead = Piece(piece.last, min(piece.last + self._ahead, self._tape.length))
        self._from = piece.last
        if len(ahead) < SHORTEST:  # there is no chunk that has it
            ahead = Piece(piece.last, piece.last)
        audio, ahead_audio = (self._tape.copy(each.first, each.last) for each in (piece, ahead))
        return Cut((piece,), audio, (ahead,) if len(ahead) else (), ahead_audio)


def quietest(audio: Audio, begin: int) -> int:
    """Return the place of the least sound in ``audio`` from ``begin`` on."""
    energy = np.convolve(_power(audio[begin:]), np.ones(10) / 10, mode="same")
    return begin + int(energy.argmin()) * FRAME + FRAME // 2


def silences(audio: Audio, seams: list[Pause]) -> list[Pause]:
    """Return the silences of speech: runs of frames nearer to the quietest than to the loudest, in decibels.

    A silence is cut at its middle, or at a seam in it, where more silence was left out, which counts as well.
    """
    loudness = np.log(_power(audio) + np.float32(1e-12))
    quiet = loudness < np.percentile(loudness, (5, 90)).mean()
    edges = np.flatnonzero(np.diff(quiet, prepend=False, append=False)) * FRAME
    found = [Pause((int(first) + int(last)) // 2, int(last - first)) for first, last in edges.reshape(-1, 2)]
    for seam in seams:
        if seam.length:
            around = [each for each in found if abs(seam.place - each.place) <= each.length // 2 + FRAME]
            found = [each for each in found if each not in around]
            found.append(Pause(seam.place, seam.length + sum(each.length for each in around)))
    return found


def _power(audio: Audio) -> Audio:
    frames = audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)
    return np.asarray(np.square(frames).mean(axis=1), np.float32)


def cutter(window_seconds: float, *, vad: bool) -> Cutter:
    """Return what cuts one channel."""
    return SpeechCutter(window_seconds) if vad else PauseCutter(window_seconds)
