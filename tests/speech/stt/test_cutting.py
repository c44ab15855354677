"""Windows: they fit, they hold what the file holds, and they end at pauses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.stt.cutting import Cut, PauseCutter, SpeechCutter

RATE = 16_000


def cuts_of(cutter: PauseCutter | SpeechCutter, audio: np.ndarray, block: int) -> list[Cut]:
    cuts = [cut for begin in range(0, len(audio), block) for cut in cutter.feed(audio[begin : begin + block])]
    return cuts + cutter.close()


@pytest.fixture(scope="module")
def talk() -> np.ndarray:
    import soundfile

    from speech.stt.hub import DEMO

    samples = sorted((DEMO.parent / "samples").glob("*.wav"))
    clips = [soundfile.read(sample, dtype="float32")[0] for sample in samples]
    return np.concatenate([np.concatenate([clip, np.zeros(RATE, np.float32)]) for clip in clips * 2])


@pytest.mark.parametrize("window", [10.0, 30.0])
@pytest.mark.parametrize("block", [1600, 64_000, 10_000_000])
def test_windows_fit_hold_the_file_and_do_not_depend_on_blocks(talk: np.ndarray, window: float, block: int) -> None:
    cuts = cuts_of(SpeechCutter(window), talk, block)

    whole = cuts_of(SpeechCutter(window), talk, len(talk))
    assert [cut.pieces for cut in cuts] == [cut.pieces for cut in whole]
    position = 0
    for cut in cuts:
        assert len(cut.audio) <= window * RATE
        assert np.array_equal(cut.audio, np.concatenate([talk[piece.first : piece.last] for piece in cut.pieces]))
        for piece in cut.pieces:
            assert piece.first >= position
            position = piece.last


def test_a_window_ends_at_the_longest_pause_near_its_end(talk: np.ndarray) -> None:
    short, long = np.zeros(int(0.2 * RATE), np.float32), np.zeros(RATE, np.float32)
    word = talk[int(2.7 * RATE) : int(4.5 * RATE)]
    # 7.8 s of speech up to the long pause; a short pause would let another word in.
    audio = np.concatenate([word, short] * 4 + [long] + [word, short] * 4)
    first, *_ = cuts_of(SpeechCutter(10.0), audio, RATE)

    assert first.pieces[-1].last < 4 * (len(word) + len(short)) + len(long)
    assert first.pieces[-1].last > 4 * len(word) + 3 * len(short) - RATE // 2


def test_of_two_short_pauses_the_one_between_sentences_is_taken(talk: np.ndarray) -> None:
    """A voice activity detector takes both for breaths of like length, or misses one."""
    word = talk[int(2.75 * RATE) : int(4.4 * RATE)]
    comma, stop = np.zeros(int(0.12 * RATE), np.float32), np.zeros(int(0.26 * RATE), np.float32)
    audio = np.concatenate([word, comma, word, comma, word, comma, word, stop, word, comma] * 2)
    sentence = 4 * len(word) + 3 * len(comma)
    first, *_ = cuts_of(SpeechCutter(10.0), audio, RATE)

    assert sentence < first.pieces[-1].last < sentence + len(stop)


def test_pauses_beyond_what_parts_sentences_do_not_empty_the_windows(talk: np.ndarray) -> None:
    word = talk[int(2.75 * RATE) : int(4.4 * RATE)]
    pauses = [np.zeros(int(seconds * RATE), np.float32) for seconds in (0.7, 0.5)] * 20
    audio = np.concatenate([part for pause in pauses for part in (word, pause)])
    cuts = cuts_of(SpeechCutter(30.0), audio, RATE)

    assert all(len(cut.audio) > 27.5 * RATE for cut in cuts[:-1]), "not by more than a sentence"


@pytest.mark.parametrize("cutter", [SpeechCutter, PauseCutter])
def test_a_window_knows_what_follows_it(talk: np.ndarray, cutter: type[SpeechCutter | PauseCutter]) -> None:
    cuts = cuts_of(cutter(10.0), np.concatenate([talk, talk]), RATE)

    assert len(cuts) > 5
    for cut, *rest in zip(cuts, cuts[1:], cuts[2:], strict=False):
        following = np.concatenate([each.audio for each in rest])
        assert len(cut.ahead_audio) == 5 * RATE or len(following) < 5 * RATE
        assert np.array_equal(cut.ahead_audio[: len(following)], following[: len(cut.ahead_audio)])
        assert sum(len(piece) for piece in cut.ahead) == len(cut.ahead_audio)
        assert cut.ahead[0].first >= cut.pieces[-1].last
    assert not cuts[-1].ahead


@settings(max_examples=30, deadline=None)
@given(seconds=st.floats(0.02, 70), seed=st.integers(0, 99), block=st.integers(160, 200_000))
def test_without_speech_detection_nothing_is_left_out(seconds: float, seed: int, block: int) -> None:
    audio = np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32)
    cuts = cuts_of(PauseCutter(10.0), audio, block)

    assert all(len(cut.audio) <= 10 * RATE for cut in cuts)
    joined = np.concatenate([cut.audio for cut in cuts])
    assert np.array_equal(joined, audio[: len(joined)])
    assert len(audio) - len(joined) < RATE // 50


def test_what_is_held_does_not_grow_with_the_file(talk: np.ndarray) -> None:
    cutter = SpeechCutter(10.0)
    held = []
    for _ in range(6):
        for begin in range(0, len(talk), 4 * RATE):
            cutter.feed(talk[begin : begin + 4 * RATE])
        held.append(sum(len(block) for block in cutter._tape._blocks) + cutter._packed())
    assert max(held) < 30 * RATE
