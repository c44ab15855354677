"""What a task thread does with a file before the engine sees it: look, decode, find speech, cut, make features."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from speech.errors import AudioError
from speech.stt.chunks import RATE, Chunk, ChunkResult
from speech.stt.context import Heard, said_before, with_context
from speech.stt.cutting import Cut, Cutter, cutter
from speech.stt.features import log_mel
from speech.stt.languages import VOTERS, Vote, vote
from speech.stt.options import DecodeOptions

if TYPE_CHECKING:
    from speech.audio import Decoding, MediaInfo

BLOCK_SECONDS = 4
"""Audio that is looked at in one go. Shorter blocks cost calls, longer ones memory."""
MOST_DAMAGES = 20
"""Damaged places that are listed one by one."""
NOTHING: Heard = {}


@dataclass(frozen=True)
class Notice:
    """Something the reader of a transcript should know; ``at`` is seconds of the file, if it has a place."""

    code: str
    detail: str
    at: float | None = None


class Preparation:
    """One file on its way to the engine. Iterate it once: chunks come as the file is decoded, so memory is bounded.

    Where the language is not given, let the first chunks vote, so that all others are decoded in one language::

        for chunk in preparation.opening(heard): ...   # none if the language is known
        preparation.settle(heard.values())
        for chunk in preparation.chunks(heard): ...    # all others, and those that heard another language again

    Without that each chunk is decoded in the language heard in itself. ``heard`` has the results by the units of their
    chunks; what is in it (from before a restart, say) is not given again. With ``condition_on_previous_text`` the
    result of each chunk must be in it before the next chunk is asked for. ``warnings`` and ``duration`` are final
    after the last chunk.
    """

    def __init__(
        self,
        path: str | Path,
        options: DecodeOptions,
        extractor: Any,
        *,
        max_seconds: float | None = None,
        model: str = "",
    ) -> None:
        from speech.audio import probe

        self.path = Path(path)
        self.options = options
        self.info: MediaInfo = probe(self.path)
        self.warnings: list[Notice] = []
        self.vote: Vote | None = Vote(options.language, 1.0) if options.language else None
        self._extractor = extractor
        self._max_seconds = max_seconds
        self._model = model
        self._samples = 0
        self._finished = False
        self._language = options.language
        self._opening: list[Chunk] = []
        self._chunks = self._cut()

    @property
    def duration(self) -> float:
        """Seconds of the file: as promised by the container until it is decoded, as decoded from then on."""
        decoded = self._samples / RATE
        return decoded if self._finished else max(decoded, self.info.duration_seconds or 0.0)

    def opening(self, heard: Heard = NOTHING) -> Iterator[Chunk]:
        """Yield the first chunks of speech if the language is to be detected, else none."""
        if self._language is None:
            self._opening = list(itertools.islice(self._chunks, VOTERS))
            yield from self._ready(self._opening, heard)

    def settle(self, results: Iterable[ChunkResult]) -> None:
        """Fix the language by the results of the opening chunks; a chunk that heard another one comes again."""
        voting = list(results)
        detected = {result.index: result.language for result in voting if result.languages}
        self.vote = self.vote or vote(voting)
        if self.vote is None or self._language is not None:
            return
        self._language = self.vote.language
        self._opening = [
            self._in_language(chunk) for chunk in self._opening if detected.get(chunk.index) != self._language
        ]

    def __iter__(self) -> Iterator[Chunk]:
        return self.chunks()

    def chunks(self, heard: Heard = NOTHING) -> Iterator[Chunk]:
        """Yield the chunks that remain, in order."""
        opening, self._opening = self._opening, []
        yield from self._ready(itertools.chain(opening, map(self._in_language, self._chunks)), heard)

    def _cut(self) -> Iterator[Chunk]:
        cutters: list[Cutter] = []
        index = 0
        for block in self._blocks():
            if not cutters:
                window = float(self._extractor.chunk_length)
                cutters = [cutter(window, vad=self.options.vad) for _ in block]
            self._samples += block.shape[1]
            for channel, (each, audio) in enumerate(zip(cutters, block, strict=True)):
                for cut in each.feed(audio):
                    yield self._chunk(index, channel, cut)
                    index += 1
        self._finished = True
        for channel, each in enumerate(cutters):
            for cut in each.close():
                yield self._chunk(index, channel, cut)
                index += 1

    def _chunk(self, index: int, channel: int, cut: Cut) -> Chunk:
        return Chunk(
            index=index,
            channel=channel,
            pieces=cut.pieces,
            audio=cut.audio,
            ahead=cut.ahead,
            ahead_audio=cut.ahead_audio,
            options=self.options,
            model=self._model,
        )

    def _in_language(self, chunk: Chunk) -> Chunk:
        return replace(chunk, options=replace(self.options, language=self._language))

    def _ready(self, chunks: Iterable[Chunk], heard: Heard) -> Iterator[Chunk]:
        """Yield the chunks that were not heard, as the engine wants them."""
        for chunk in chunks:
            if chunk.unit not in heard:
                options = with_context(chunk.options, said_before(chunk, heard))
                yield replace(chunk, options=options, features=log_mel(self._extractor, chunk.audio))

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32[channels, samples] in blocks of a few seconds; a break ends the stream with a warning."""
        from speech.audio import decode

        parts: list[NDArray[np.float32]] = []
        held = 0
        with decode(self.path, rate=RATE, channels=self.options.channels, max_seconds=self._max_seconds) as stream:
            try:
                for block in stream:
                    parts.append(np.atleast_2d(block))
                    held += parts[-1].shape[1]
                    if held >= BLOCK_SECONDS * RATE:
                        yield np.concatenate(parts, axis=1)
                        parts, held = [], 0
            except AudioError as error:
                if error.code != "damaged_media":  # that one comes after all that could be decoded
                    raise
            self.warnings.extend(_losses(stream))
        if held:
            yield np.concatenate(parts, axis=1)


def _losses(stream: Decoding) -> Iterator[Notice]:
    """Say what of a file could not be decoded, and where."""
    for damage in stream.warnings[:MOST_DAMAGES]:
        yield Notice("damaged", f"at {damage.at:.2f} s {damage.detail}; the rest is transcribed", damage.at)
    if stream.broken_at is not None and not stream.warnings:
        yield Notice(
            "truncated",
            f"the recording breaks off at {stream.broken_at:.2f} s, though its container promises "
            f"{stream.info.duration_seconds:.2f} s; what is there is transcribed",
            stream.broken_at,
        )
