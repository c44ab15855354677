"""Decoding any container as a stream: bounded memory, honest about damage, in step with the file's own clock."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Literal, Self

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from speech.audio.media import Damage, MediaInfo, describe, open_media
from speech.errors import AudioError

BLOCK_SECONDS = 1.0
GAP_SECONDS = 0.25
"""Timestamps this far ahead of the samples mean that audio is missing there; silence keeps later times right."""
LONGEST_GAP_SECONDS = 60.0
"""A longer leap is a broken timestamp rather than a pause, and is not filled."""
TOLERATED_LOSS_SECONDS = 0.5
"""What a container may promise beyond its samples (encoder delay, rounding) before we call it truncated."""


def decode(
    path: str | Path,
    *,
    rate: int = 16000,
    channels: Literal["mix", "split"] = "mix",
    max_seconds: float | None = None,
) -> Decoding:
    """Open a media file and return an iterator of its audio at ``rate`` Hz.

    With ``mix`` blocks are float32[n] in -1..1, all channels mixed without clipping; with ``split`` they are
    float32[channels, n]. Raises :class:`AudioError` at once (``empty_media``, ``not_media``, ``no_audio_stream``) or
    while iterating: ``undecodable`` (nothing could be decoded), ``damaged_media`` (the file breaks off; everything
    before was yielded), ``too_long`` (longer than ``max_seconds``). See :class:`Decoding` for lesser damage.
    """
    return Decoding(Path(path), rate=rate, channels=channels, max_seconds=max_seconds)


class Decoding:
    """One pass over a media file. Iterate it once; ``close`` it (or use ``with``) if you stop early.

    ``info`` is what the container promises. ``seconds`` is what was yielded so far. ``warnings`` lists the places
    where packets could not be decoded and were left out; ``broken_at`` is the second of the first damage, of the
    break, or of the end where the container promised more, else None. Both are final after the last block.
    """

    def __init__(
        self, path: Path, *, rate: int, channels: Literal["mix", "split"], max_seconds: float | None = None
    ) -> None:
        self.path = path
        self.rate = rate
        self.warnings: list[Damage] = []
        self.broken_at: float | None = None
        self._split = channels == "split"
        self._max_seconds = max_seconds
        self._samples = 0
        self._container, self._stream = open_media(path)
        self.info: MediaInfo = describe(self._container, self._stream)
        self._blocks = self._run()

    @property
    def seconds(self) -> float:
        """Seconds of audio yielded so far."""
        return self._samples / self.rate

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self

    def __next__(self) -> NDArray[np.float32]:
        return next(self._blocks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; further iteration ends."""
        self._blocks.close()
        self._container.close()

    def _run(self) -> Generator[NDArray[np.float32], None, None]:
        size = int(self.rate * BLOCK_SECONDS)
        parts: list[NDArray[np.float32]] = []
        held = 0
        broken: AudioError | None = None
        with self._container:
            pieces = self._pieces()
            while True:
                try:
                    piece = next(pieces, None)
                except AudioError as error:
                    broken = error
                    break
                if piece is None:
                    break
                parts.append(piece)
                held += piece.shape[-1]
                if held >= size:
                    yield self._block(parts)
                    parts, held = [], 0
            if held:
                yield self._block(parts)
        if broken is not None:
            raise broken
        self._check_end()

    def _block(self, parts: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        block = np.concatenate(parts, axis=-1)
        self._samples += block.shape[-1]
        if self._max_seconds is not None and self.seconds > self._max_seconds + BLOCK_SECONDS / 2:
            raise AudioError(
                f"{self.path.name} is longer than the limit of {self._max_seconds:g} s; cut it into parts",
                code="too_long",
            )
        return block if self._split else block[0]

    def _pieces(self) -> Iterator[NDArray[np.float32]]:
        """Yield float32[channels, n] for each decoded frame, at the wanted rate, gaps filled with silence."""
        converter = _Converter(self.rate, self._split)
        clock = _Clock(_origin(self._container))
        for frame in self._frames(clock):
            if gap := clock.gap_before(frame):
                yield from converter.silence(gap, frame)
            clock.advance(frame.samples / frame.sample_rate)
            yield from converter.push(frame)
        yield from converter.flush()

    def _frames(self, clock: _Clock) -> Iterator[av.AudioFrame]:
        """Decode what can be decoded; note undecodable packets, raise when the container itself breaks."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.FFmpegError, OSError, ValueError) as error:
                self._note(clock.seconds, f"the file cannot be read any further: {error}")
                code = "damaged_media" if clock.seconds else "undecodable"
                raise AudioError(f"{self.path.name} breaks at {clock.seconds:.2f} s: {error}", code=code) from error
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (av.FFmpegError, ValueError) as error:
                self._note(clock.seconds, f"a packet cannot be decoded: {error}")
                continue
            yield from (frame for frame in frames if isinstance(frame, av.AudioFrame) and frame.samples)

    def _note(self, at: float, detail: str) -> None:
        if self.broken_at is None:
            self.broken_at = at
        if not self.warnings or at > self.warnings[-1].at:  # a run of bad packets is one damage
            self.warnings.append(Damage(at, detail))

    def _check_end(self) -> None:
        if not self._samples and self.warnings:
            raise AudioError(
                f"{self.path.name} holds no audio that can be decoded: {self.warnings[0].detail}", code="undecodable"
            )
        promised = self.info.duration_seconds
        if self.broken_at is None and promised is not None and promised - self.seconds > TOLERATED_LOSS_SECONDS:
            self.broken_at = self.seconds


class _Clock:
    """Where we are in the file by its samples, to be held against its timestamps."""

    def __init__(self, origin: float | None) -> None:
        self.seconds = 0.0
        self._origin = origin

    def gap_before(self, frame: av.AudioFrame) -> float:
        """Return the seconds of audio missing before ``frame`` and move past them."""
        if frame.time is None:
            return 0.0
        if self._origin is None:
            self._origin = frame.time
        gap = frame.time - self._origin - self.seconds
        if gap > LONGEST_GAP_SECONDS:
            self._origin += gap
            return 0.0
        if gap < GAP_SECONDS:
            return 0.0
        self.seconds += gap
        return gap

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


class _Converter:
    """Bring frames to float32[channels, n] at one rate; where the format changes, a new resampler begins."""

    def __init__(self, rate: int, split: bool) -> None:  # noqa: FBT001 - private, one caller
        self._rate = rate
        self._split = split
        self._format: tuple[Any, ...] | None = None
        self._channels: int | None = None
        self._inner: av.AudioResampler | None = None

    def push(self, frame: av.AudioFrame) -> Iterator[NDArray[np.float32]]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._format:
            yield from self.flush()
            self._format = shape
            self._inner = self._resampler(frame.layout if self._split else "mono")
        assert self._inner is not None
        try:
            frames = self._inner.resample(frame)
        except av.ArgumentError:  # a layout that FFmpeg has no mixing rule for, such as nine channels
            self._inner = self._resampler(frame.layout)
            frames = self._inner.resample(frame)
        yield from map(self._planes, frames)

    def _resampler(self, layout: str | av.AudioLayout) -> av.AudioResampler:
        # Without the option a float mix of equal channels exceeds 1. Packed, since planar frames of more than eight
        # channels crash the reading of their planes.
        return av.AudioResampler(format="flt", layout=layout, rate=self._rate, options={"rematrix_maxval": "1.0"})

    def flush(self) -> Iterator[NDArray[np.float32]]:
        if self._inner is not None:
            yield from (self._planes(frame) for frame in self._inner.resample(None) if frame is not None)
        self._inner = self._format = None

    def silence(self, seconds: float, before: av.AudioFrame) -> Iterator[NDArray[np.float32]]:
        """Yield the rest of what came earlier, then silence of the shape that the frame after it will have."""
        yield from self.flush()
        yield np.zeros((self._width(before), round(seconds * self._rate)), np.float32)

    def _width(self, frame: av.AudioFrame) -> int:
        """Return the channels of every block: those of the first frame, or one."""
        if self._channels is None:
            self._channels = frame.layout.nb_channels if self._split else 1
        return self._channels

    def _planes(self, frame: av.AudioFrame) -> NDArray[np.float32]:
        packed = np.asarray(frame.to_ndarray(), np.float32)
        planes = packed.reshape(-1, frame.layout.nb_channels).T
        if not self._split:
            return planes.mean(axis=0, keepdims=True) if len(planes) > 1 else planes
        wanted = self._width(frame)
        return np.pad(planes[:wanted], ((0, max(0, wanted - len(planes))), (0, 0)))


def _origin(container: InputContainer) -> float | None:
    return None if container.start_time is None else container.start_time / av.time_base
