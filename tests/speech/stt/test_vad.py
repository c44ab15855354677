"""The streaming speech finder against the library's, which needs the whole file."""

from __future__ import annotations

import numpy as np
import pytest
from faster_whisper.vad import VadOptions, get_speech_timestamps

from speech.stt.vad import Probabilities, SpeechFinder, SpeechRules, speech_spans


def recording(rng: np.random.Generator, spoken: np.ndarray) -> np.ndarray:
    """Speech, clipped speech, silence and noise, in any order, with pauses of any length."""
    parts = []
    for _ in range(rng.integers(1, 8)):
        kind = rng.integers(0, 4)
        if kind < 2:
            begin, end = sorted(rng.integers(0, len(spoken), 2))
            parts.append(spoken[begin:end] if kind else spoken)
        elif kind == 2:
            parts.append(np.zeros(rng.integers(0, 64_000), np.float32))
        else:
            loudness = rng.choice([0.003, 0.05, 0.2])
            parts.append((rng.standard_normal(rng.integers(0, 32_000)) * loudness).astype(np.float32))
        parts.append(np.zeros(rng.choice([0, 800, 3200, 8000, 30_000]), np.float32))
    return np.concatenate(parts)


@pytest.mark.parametrize("seed", range(12))
def test_spans_are_those_of_the_library_however_the_stream_is_cut(seed: int, spoken: np.ndarray) -> None:
    rng = np.random.default_rng(seed)
    audio = recording(rng, spoken)
    longest = float(rng.choice([10, 30]))
    whole = get_speech_timestamps(audio.copy(), VadOptions(max_speech_duration_s=longest, min_silence_duration_ms=160))
    blocks = np.split(audio, np.sort(rng.integers(0, len(audio) + 1, rng.integers(0, 10))))

    spans = list(speech_spans(blocks, SpeechRules(max_speech=longest)))

    assert [(span.first, span.last) for span in spans] == [(span["start"], span["end"]) for span in whole]


def test_a_pause_is_the_whole_silence_before_a_span(spoken: np.ndarray) -> None:
    gap = np.zeros(3 * 16_000, np.float32)
    first, second = list(speech_spans([np.concatenate([spoken[:40_000], gap, spoken[:40_000]])], SpeechRules()))[-2:]

    assert second.pause >= len(gap) - 16_000
    assert first.last + second.pause > second.first, "padding takes from the pause on both sides"


def test_nothing_that_a_later_span_needs_is_forgotten(spoken: np.ndarray) -> None:
    heard, finder = Probabilities(), SpeechFinder(SpeechRules())
    kept_from = 0
    audio = np.concatenate([spoken, np.zeros(48_000, np.float32)] * 3)
    for block in np.array_split(audio, 37):
        for span in finder.feed(heard.feed(block)):
            assert span.first >= kept_from
        kept_from = finder.open_from
    assert kept_from > len(audio) - 3 * 16_000 - 48_000, "silence is forgotten, too"


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    import soundfile

    from speech.stt.hub import DEMO

    return soundfile.read(DEMO.parent / "samples" / "demo_F7_neutral.wav", dtype="float32")[0]
