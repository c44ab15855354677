"""Sounds and files that the tests of audio in and out share."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

RATE = 16000


def tone(seconds: float, *, hertz: float = 440.0, rate: int = RATE, level: float = 0.5) -> np.ndarray:
    """A sine that fades in and out, float32[n], so that encoders have no edge to ring at."""
    n = round(seconds * rate)
    fade = np.minimum(1.0, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.02 * rate))
    return (level * fade * np.sin(2 * np.pi * hertz * np.arange(n) / rate)).astype(np.float32)


def blocks(audio: np.ndarray, size: int = 777) -> Iterator[np.ndarray]:
    for at in range(0, audio.size, size):
        yield audio[at : at + size]


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Makes a small film; its sound starts at ``late`` seconds, or there is none."""

    def make(name: str, sound: np.ndarray | None, late: float = 0.0) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            film = container.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
            speech = None if sound is None else container.add_stream("libmp3lame", rate=RATE, layout="mono")
            for index in range(40):
                frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index, np.uint8), format="rgb24")
                container.mux(film.encode(frame))
            container.mux(film.encode(None))
            if speech is not None and sound is not None:
                frame = av.AudioFrame.from_ndarray(sound[None, :], format="fltp", layout="mono")
                frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), round(late * RATE)
                container.mux(speech.encode(frame))
                container.mux(speech.encode(None))
        return path

    return make
