"""Changing the sample rate of mono audio, as a whole or as a stream, by FFmpeg's resampler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from speech.audio.pcm import to_float

LONGEST_PUSH = 1 << 20
"""Samples given to the resampler in one frame; FFmpeg counts a frame's bytes in an int."""


class Resampler:
    """Resample a stream of mono float32 blocks; the total length is exactly ``round(n * out_rate / rate)``."""

    def __init__(self, rate: int, out_rate: int) -> None:
        self.rate = rate
        self.out_rate = out_rate
        self._taken = 0
        self._given = 0
        self._inner = None if rate == out_rate else av.AudioResampler(format="flt", layout="mono", rate=out_rate)

    def push(self, audio: NDArray[Any]) -> NDArray[np.float32]:
        """Take float32[n] (or int16[n]) and return what is ready: float32[m]."""
        audio = to_float(audio)
        if self._inner is None or not audio.size:
            return audio
        return self._note(np.concatenate([self._through(part) for part in _parts(audio)]))

    def flush(self) -> NDArray[np.float32]:
        """Return the rest after the last block."""
        if self._inner is None:
            return np.zeros(0, np.float32)
        if not self._taken:
            return np.zeros(0, np.float32)
        rest = _samples(self._inner.resample(None))
        missing = round(Fraction(self._taken * self.out_rate, self.rate)) - self._given
        return self._note(np.pad(rest, (0, max(0, missing - rest.size)))[: max(0, missing)])

    def stream(self, blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[np.float32]]:
        """Resample an iterable of blocks to its end."""
        for block in blocks:
            yield self.push(block)
        yield self.flush()

    def _through(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._inner is None:
            return part
        frame = mono_frame(part, self.rate, self._taken)
        self._taken += part.size
        return _samples(self._inner.resample(frame))

    def _note(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        self._given += audio.size
        return audio


def resample(audio: NDArray[Any], rate: int, out_rate: int) -> NDArray[np.float32]:
    """Resample float32[n] mono from ``rate`` to ``out_rate`` Hz into ``round(n * out_rate / rate)`` samples."""
    resampler = Resampler(rate, out_rate)
    return np.concatenate([resampler.push(audio), resampler.flush()])


def mono_frame(audio: NDArray[np.float32], rate: int, position: int) -> av.AudioFrame:
    """Wrap float32[n] mono samples that begin at sample ``position`` as a frame for FFmpeg."""
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio[None, :], np.float32), format="flt", layout="mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    frame.pts = position
    return frame


def _parts(audio: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [audio[at : at + LONGEST_PUSH] for at in range(0, audio.size, LONGEST_PUSH)]


def _samples(frames: Iterable[av.AudioFrame]) -> NDArray[np.float32]:
    arrays = [np.asarray(frame.to_ndarray(), np.float32).reshape(-1) for frame in frames]
    return np.concatenate(arrays) if arrays else np.zeros(0, np.float32)
