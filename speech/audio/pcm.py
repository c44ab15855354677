"""Samples as floats and as 16-bit integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.errors import AudioError

FULL_SCALE = 32768.0
"""One as a 16-bit integer: what every reader divides by."""


def to_int16(audio: NDArray[Any]) -> NDArray[np.int16]:
    """Round float samples of any shape in -1..1 to int16; what lies outside is clipped, never wrapped.

    int16 input is returned as it is. Raises :class:`AudioError` (``not_finite``) on NaN or infinity, which would
    otherwise become a loud click.
    """
    if audio.dtype == np.int16:
        return audio
    if not np.isfinite(audio).all():
        raise AudioError(
            "the audio holds NaN or infinite samples; the model or its precision is at fault", code="not_finite"
        )
    return np.clip(np.rint(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def to_float(audio: NDArray[Any]) -> NDArray[np.float32]:
    """Bring int16 samples to float32 in -1..1; floats become float32."""
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(FULL_SCALE)
    return audio.astype(np.float32, copy=False)
