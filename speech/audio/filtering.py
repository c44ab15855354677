"""FFmpeg's audio filters over a stream of mono blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from speech.audio.pcm import to_float
from speech.audio.resampling import mono_frame


class FilterChain:
    """A line of filters, each a (name, arguments) as FFmpeg takes them, for mono float blocks of one rate."""

    def __init__(self, rate: int, filters: Sequence[tuple[str, str]]) -> None:
        self._rate = rate
        self._position = 0
        self._graph = av.filter.Graph()
        links = [
            self._graph.add(
                "abuffer", sample_rate=str(rate), sample_fmt="flt", channel_layout="mono", time_base=f"1/{rate}"
            ),
            *(self._graph.add(name, arguments) for name, arguments in filters),
            self._graph.add("abuffersink"),
        ]
        for source, sink in pairwise(links):
            source.link_to(sink)
        self._graph.configure()

    def push(self, audio: NDArray[np.float32]) -> list[av.AudioFrame]:
        """Take float32[n] and return the frames that are ready, with their metadata."""
        if not audio.size:
            return []
        self._graph.push(mono_frame(audio, self._rate, self._position))
        self._position += audio.size
        return self._ready()

    def flush(self) -> list[av.AudioFrame]:
        """Return the rest; nothing can be pushed after that."""
        if not self._position:
            return []
        self._graph.push(None)
        return self._ready()

    def _ready(self) -> list[av.AudioFrame]:
        frames: list[av.AudioFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return frames
            assert isinstance(frame, av.AudioFrame)
            frames.append(frame)


class Leveller:
    """Applies a gain to a stream of mono blocks and keeps peaks under a ceiling by a look-ahead limiter.

    Sample n of the output belongs to sample n of the input, and there are as many.
    """

    def __init__(self, rate: int, gain_db: float, ceiling_db: float | None) -> None:
        filters = [("volume", f"volume={gain_db:.4f}dB:precision=double")]
        if ceiling_db is not None:
            limit = 10 ** (ceiling_db / 20)
            filters.append(("alimiter", f"limit={limit:.6f}:attack=5:release=50:level=0:latency=1"))
        idle = gain_db == 0 and ceiling_db is None
        self._graph = None if idle else FilterChain(rate, filters)

    def push(self, audio: NDArray[Any]) -> NDArray[np.float32]:
        """Take float32[n] or int16[n] and return what is ready."""
        audio = to_float(audio)
        return audio if self._graph is None else _samples(self._graph.push(audio))

    def flush(self) -> NDArray[np.float32]:
        """Return the rest."""
        return np.zeros(0, np.float32) if self._graph is None else _samples(self._graph.flush())


def _samples(frames: list[av.AudioFrame]) -> NDArray[np.float32]:
    parts = [np.asarray(frame.to_ndarray()).reshape(-1).astype(np.float32) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
