"""Audio as 16-bit numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_int16(audio: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return float32 audio in -1..1 as int16: times 32768, truncated, and clipped where the original wraps around."""
    return np.clip(np.asarray(audio, dtype=np.float64) * 32768.0, -32768.0, 32767.0).astype(np.int16)
