"""What travels between the task threads and the engine thread: a chunk of speech there, its words back."""

from __future__ import annotations

import bisect
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from speech.stt.options import DecodeOptions

RATE = 16_000
"""Samples per second of all audio that Whisper hears."""
NOTHING = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Piece:
    """A stretch of the file that a chunk holds, as samples of the file at 16 kHz: [first, last)."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class Chunk:
    """At most one model window of speech: the pieces of one channel, joined without the silence between them.

    ``audio`` is float32[samples] at 16 kHz in -1..1 and as long as the pieces together. ``features`` are its log-mel
    frames, float32[mels, frames], made by the task thread so that the engine thread need not wait for them; the engine
    makes them if they are missing. ``start`` and ``end`` are seconds of the file. ``model`` names the model that is to
    hear the chunk where a process has several. ``ahead`` and ``ahead_audio`` are the speech that follows, a part of the
    next chunk: a sentence that the cut has torn is heard once more with it.
    """

    index: int
    channel: int
    pieces: tuple[Piece, ...]
    audio: NDArray[np.float32] = field(repr=False, compare=False)
    options: DecodeOptions
    features: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    model: str = ""
    ahead: tuple[Piece, ...] = ()
    ahead_audio: NDArray[np.float32] = field(default_factory=lambda: NOTHING, repr=False, compare=False)

    @property
    def start(self) -> float:
        """Seconds of the file at which the chunk's speech begins."""
        return self.pieces[0].first / RATE

    @property
    def end(self) -> float:
        """Seconds of the file at which the chunk's speech ends."""
        return self.pieces[-1].last / RATE

    @property
    def seconds(self) -> float:
        """Seconds of speech in the chunk."""
        return sum(len(piece) for piece in self.pieces) / RATE

    @property
    def unit(self) -> str:
        """A name that is the same in every attempt, for the journal: a chunk heard in two languages has two."""
        return unit_name(self.index, self.options.language)

    @property
    def clock(self) -> FileClock:
        """What turns seconds of the chunk, and of what follows it, into seconds of the file."""
        return FileClock((*self.pieces, *self.ahead))


def unit_name(index: int, language: str | None) -> str:
    """Return the name of the unit that a chunk is, decoded in a language (None: detected)."""
    return f"{index:06d}-{language or 'auto'}"


class FileClock:
    """Turns seconds of a chunk, which holds no silence, into seconds of the file, which does."""

    def __init__(self, pieces: tuple[Piece, ...]) -> None:
        self._pieces = pieces
        ends = np.cumsum([len(piece) for piece in pieces])
        self._ends = [int(end) for end in ends]

    def start(self, seconds: float) -> float:
        """Return the file time of something that begins here; on a seam it belongs to the piece that follows."""
        return self._at(seconds, bisect.bisect_right(self._ends, self._sample(seconds)))

    def end(self, seconds: float) -> float:
        """Return the file time of something that ends here; on a seam it belongs to the piece before."""
        return self._at(seconds, bisect.bisect_left(self._ends, self._sample(seconds)))

    def span(self, start: float, end: float) -> tuple[float, float]:
        """Return the file times of one word: both in the piece that holds its middle, so no silence gets into it."""
        place = bisect.bisect_right(self._ends, self._sample((start + end) / 2))
        return self._at(start, place), self._at(end, place)

    def _sample(self, seconds: float) -> int:
        return round(min(max(seconds, 0.0), self._ends[-1] / RATE) * RATE)

    def _at(self, seconds: float, place: int) -> float:
        place = min(place, len(self._pieces) - 1)
        piece = self._pieces[place]
        into = self._sample(seconds) - (self._ends[place] - len(piece))
        return (piece.first + min(max(into, 0), len(piece))) / RATE


@dataclass(frozen=True)
class Word:
    """A word (in Chinese: a character, with its punctuation) and its time in seconds of the file."""

    start: float
    end: float
    text: str
    probability: float


@dataclass(frozen=True)
class Spoken:
    """A segment as the model gave it, in seconds of the file; the text still has its leading space, if any."""

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float
    temperature: float
    words: tuple[Word, ...] | None = None


Verdict = Literal["speech", "no_speech", "repetition"]


@dataclass(frozen=True)
class ChunkResult:
    """What was heard in one chunk. Small, and the same after a round trip through JSON, so that it can be journalled.

    ``languages`` are the most probable languages if they were asked for, else empty. ``verdict`` says whether the
    model found speech at all, and whether a loop had to be cut out of its words. ``heard_to``: the end of its last
    segment in seconds of the file, if a sentence was torn at its end and so was heard on into the next chunk.
    """

    index: int
    channel: int
    start: float
    end: float
    language: str
    languages: tuple[tuple[str, float], ...]
    segments: tuple[Spoken, ...]
    verdict: Verdict = "speech"
    heard_to: float | None = None

    @property
    def text(self) -> str:
        """The words, as the model joined them."""
        return "".join(segment.text for segment in self.segments)

    def to_json(self) -> str:
        """Return the result as one line of JSON; floats keep all their digits."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> ChunkResult:
        """Return the result that :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        fields["languages"] = tuple((str(code), float(share)) for code, share in fields["languages"])
        fields["segments"] = tuple(_spoken(segment) for segment in fields["segments"])
        return cls(**fields)


def _spoken(fields: dict[str, Any]) -> Spoken:
    words = fields.pop("words")
    tokens = tuple(fields.pop("tokens"))
    return Spoken(**fields, tokens=tokens, words=None if words is None else tuple(Word(**word) for word in words))
