"""Log-mel frames as Whisper was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAMES = 3000
"""Frames of the encoder's input. Shorter audio is filled up with zeros, as in training (and in faster-whisper)."""


def log_mel(extractor: Any, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32[mels, frames] of float32[samples] at 16 kHz, 100 frames a second, not padded."""
    return np.asarray(extractor(audio)[..., :-1][..., :FRAMES], np.float32)


def stack(rows: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return float32[rows, mels, 3000]: each row's frames, then zeros."""
    batch = np.zeros((len(rows), rows[0].shape[0], FRAMES), np.float32)
    for target, frames in zip(batch, rows, strict=True):
        target[:, : frames.shape[1]] = frames
    return batch
