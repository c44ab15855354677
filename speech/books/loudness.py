"""How loud a chapter is, by EBU R 128 and by the rules of ACX, and what gain brings it to its level."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from speech.audio import to_float
from speech.audio.filtering import FilterChain

Mode = Literal["r128", "acx", "none"]
R128_TARGET_LUFS = -18.0
R128_CEILING_DB = -1.5
ACX_RMS_DB = (-23.0, -18.0)
ACX_TARGET_RMS_DB = -20.0
ACX_PEAK_DB = -3.0
ACX_CEILING_DB = -3.5
"""Half a decibel under the rule: a lossy codec overshoots."""
ACX_NOISE_FLOOR_DB = -60.0
MOST_GAIN_DB = 30.0
"""More would only raise noise; such a chapter is nearly silent, and its manifest says so."""
SILENCE_DB = -120.0
"""What digital silence is called, since minus infinity is no JSON."""
STANDARD_RATE = 48000
OVERSAMPLING = 4
"""For true peaks, as ITU-R BS.1770-5, annex 2, has it for 48 kHz; in samples of the signal's own rate."""
PART = 8192
"""Samples that are measured in one go; long blocks would leave the heap of FFmpeg and numpy in large holes."""
FLOOR_WINDOW_SECONDS = 0.5
QUIET_WINDOW_SECONDS = 0.1
QUIET_DB = -50.0
"""A tenth of a second below this holds no speech."""


@dataclass(frozen=True)
class Loudness:
    """Measured values of a mono signal.

    ``lufs``: integrated loudness (EBU R 128), None under 0.4 s or if all is silent. ``true_peak_db``: dBTP, None if
    it was not asked for. ``peak_db``, ``rms_db``: dBFS over everything, pauses included. ``noise_floor_db``: RMS of
    the quietest half second. ``silence``: share of the time without sound, 0–1.
    """

    lufs: float | None
    true_peak_db: float | None
    peak_db: float
    rms_db: float
    noise_floor_db: float
    silence: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, rounded to hundredths."""
        return {
            "integrated_lufs": None if self.lufs is None else round(self.lufs, 2),
            "true_peak_dbtp": None if self.true_peak_db is None else round(self.true_peak_db, 2),
            "peak_dbfs": round(self.peak_db, 2),
            "rms_dbfs": round(self.rms_db, 2),
            "noise_floor_dbfs": round(self.noise_floor_db, 2),
            "silence_share": round(self.silence, 3),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Loudness:
        """Return what :meth:`to_json` wrote."""
        return cls(
            lufs=value["integrated_lufs"],
            true_peak_db=value["true_peak_dbtp"],
            peak_db=value["peak_dbfs"],
            rms_db=value["rms_dbfs"],
            noise_floor_db=value["noise_floor_dbfs"],
            silence=value["silence_share"],
        )

    def acx_failures(self) -> list[str]:
        """Say which of the ACX rules the signal breaks, each with its value; none if it passes."""
        low, high = ACX_RMS_DB
        checks = [
            (low <= self.rms_db <= high, f"RMS is {self.rms_db:.1f} dB, not {low:g} to {high:g} dB"),
            (self.peak_db <= ACX_PEAK_DB, f"peak is {self.peak_db:.1f} dB, over {ACX_PEAK_DB:g} dB"),
            (
                self.noise_floor_db <= ACX_NOISE_FLOOR_DB,
                f"noise floor is {self.noise_floor_db:.1f} dB, over {ACX_NOISE_FLOOR_DB:g} dB",
            ),
        ]
        return [failure for passed, failure in checks if not passed]


def gain_for(loudness: Loudness, mode: Mode, target: float | None = None) -> float:
    """Return the gain in dB that brings a signal to the level of ``mode``; 0 for silence and for ``none``.

    ``target`` replaces the default: LUFS for ``r128`` (−18), dB RMS for ``acx`` (−20).
    """
    if mode == "none" or loudness.lufs is None or loudness.rms_db <= SILENCE_DB:
        return 0.0
    if mode == "r128":
        wanted = (R128_TARGET_LUFS if target is None else target) - loudness.lufs
    else:
        wanted = (ACX_TARGET_RMS_DB if target is None else target) - loudness.rms_db
    return max(-MOST_GAIN_DB, min(MOST_GAIN_DB, wanted))


def ceiling_for(mode: Mode) -> float | None:
    """Return the peak in dBFS that no sample may exceed, or None."""
    return {"r128": R128_CEILING_DB, "acx": ACX_CEILING_DB, "none": None}[mode]


class Meter:
    """Measures a stream of mono blocks; memory does not grow. ``true_peak`` adds a third to the cost."""

    def __init__(self, rate: int, *, true_peak: bool = False) -> None:
        self._rate = rate
        self._samples = 0
        self._squares = 0.0
        self._peak = 0.0
        self._floor = _Windows(round(rate * FLOOR_WINDOW_SECONDS))
        self._quiet = _Windows(round(rate * QUIET_WINDOW_SECONDS))
        # The filters of the standard are given for 48 kHz; made for a lower rate they weigh its highest octave wrongly.
        resampler = [] if rate == STANDARD_RATE else [("aresample", str(STANDARD_RATE))]
        self._graph = FilterChain(rate, [*resampler, ("ebur128", "metadata=1")])
        self._r128: dict[str, str] = {}
        # FFmpeg's own measure of true peaks goes to 192 kHz whatever the rate, and takes longer than all the rest.
        oversampled = [("aresample", str(OVERSAMPLING * rate))]
        self._between = FilterChain(rate, oversampled) if true_peak else None
        self._true_peak = 0.0

    def push(self, audio: NDArray[Any]) -> None:
        """Take float32[n] in -1..1 or int16[n]."""
        for at in range(0, audio.size, PART):
            self._push(to_float(audio[at : at + PART]))

    def _push(self, audio: NDArray[np.float32]) -> None:
        self._samples += audio.size
        self._squares += float(np.dot(audio.astype(np.float64), audio))
        self._peak = max(self._peak, float(np.abs(audio).max()))
        self._floor.push(audio)
        self._quiet.push(audio)
        self._note(self._graph.push(audio))
        if self._between is not None:
            self._note_peak(self._between.push(audio))

    def result(self) -> Loudness:
        """Return the values of all that was pushed; nothing can be pushed after that."""
        self._note(self._graph.flush())
        integrated = float(self._r128.get("lavfi.r128.I", "-inf"))
        if self._between is not None:
            self._note_peak(self._between.flush())
        return Loudness(
            lufs=integrated if integrated > -70.0 else None,  # the gate of the standard: below is silence
            true_peak_db=None if self._between is None else _decibels(max(self._true_peak, self._peak)),
            peak_db=_decibels(self._peak),
            rms_db=_decibels(math.sqrt(self._squares / self._samples)) if self._samples else SILENCE_DB,
            noise_floor_db=_decibels(self._floor.quietest),
            silence=self._quiet.share_below(QUIET_DB),
        )

    def _note_peak(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self._true_peak = max(self._true_peak, float(np.abs(frame.to_ndarray()).max()))

    def _note(self, frames: list[av.AudioFrame]) -> None:
        for frame in reversed(frames):
            if "lavfi.r128.I" in frame.metadata:  # the last frame of a stream may be too short to have any
                self._r128 = {str(key): str(value) for key, value in frame.metadata.items()}
                return


class _Windows:
    """RMS of windows of equal length over a stream: the quietest, and how many lie below a level."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = np.zeros(0, np.float32)
        self._least: float | None = None
        self._counts: dict[int, int] = {}
        self._windows = 0

    def push(self, audio: NDArray[np.float32]) -> None:
        audio = np.concatenate([self._rest, audio])
        whole = audio.size // self._size * self._size
        self._rest = audio[whole:].copy()
        if not whole:
            return
        powers = np.mean(np.square(audio[:whole].reshape(-1, self._size), dtype=np.float64), axis=1)
        self._windows += powers.size
        self._least = min(powers.min(), math.inf if self._least is None else self._least)
        for level in np.floor(10 * np.log10(np.maximum(powers, 1e-12))).astype(int):
            self._counts[int(level)] = self._counts.get(int(level), 0) + 1

    @property
    def quietest(self) -> float:
        """RMS of the quietest window; 0 if there was none."""
        return math.sqrt(self._least) if self._least is not None else 0.0

    def share_below(self, level_db: float) -> float:
        below = sum(count for level, count in self._counts.items() if level < level_db)
        return below / self._windows if self._windows else 0.0


def _decibels(amplitude: float) -> float:
    return max(SILENCE_DB, 20 * math.log10(amplitude)) if amplitude > 0 else SILENCE_DB
