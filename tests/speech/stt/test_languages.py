"""The language of a recording, by a vote of its first chunks; and the script that Chinese is written in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import soundfile

from speech.stt import ChunkResult, DecodeOptions, Recognizer, Word
from speech.stt.chunks import Spoken
from speech.stt.languages import VOTERS, vote
from speech.stt.prepare import Preparation
from speech.stt.script import converter
from speech.stt.transcript import assemble

from .conftest import RATE, SAMPLES, silence

SOUNDS = "「二零四九年，我們搬到了重慶！」"
SIMPLIFIED = "「二零四九年，我们搬到了重庆！」"


def voter(index: int, seconds: float, **shares: float) -> ChunkResult:
    best = max(shares, key=lambda code: shares[code])
    start = 30.0 * index
    return ChunkResult(index, 0, start, start + seconds, best, tuple(shares.items()), ())


def test_a_long_chunk_outvotes_a_greeting_in_another_language() -> None:
    won = vote([voter(0, 2.0, en=0.9, zh=0.1), voter(1, 28.0, zh=0.8, en=0.2)])
    assert won is not None
    assert won.language == "zh"
    assert won.probability == pytest.approx((2.0 * 0.1 + 28.0 * 0.8) / 30.0)


def test_two_that_are_sure_outvote_one_and_order_does_not_matter() -> None:
    chunks = [voter(0, 10.0, fr=0.6, zh=0.4), voter(1, 10.0, zh=0.9, fr=0.1), voter(2, 10.0, zh=0.7, fr=0.3)]
    for order in (chunks, chunks[::-1]):
        won = vote(order)
        assert won is not None
        assert won.language == "zh"


def test_only_the_first_chunks_vote_and_only_those_that_were_asked() -> None:
    first = [voter(index, 5.0, zh=0.9) for index in range(VOTERS)]
    later = [voter(index, 30.0, en=1.0) for index in range(VOTERS, 50)]
    fixed = ChunkResult(60, 0, 0.0, 30.0, "en", (), ())
    won = vote([*later, fixed, *first])
    assert won is not None
    assert (won.language, won.probability) == ("zh", pytest.approx(0.9))
    assert vote([fixed]) is None


def transcript_of(recognizer: Recognizer, folder: Path, **options: Any) -> Any:
    """What the model is made to have written: traditional characters, full-width signs, and a time for each sign."""
    path = folder / "a.wav"
    soundfile.write(path, silence(10), RATE)
    words = tuple(Word(index / 4, index / 4 + 0.25, sign, 0.9) for index, sign in enumerate(SOUNDS))
    spoken = Spoken(0.0, 9.0, SOUNDS, (), -0.1, 0.0, 1.0, 0.0, words)
    preparation: Preparation = recognizer.prepare(path, DecodeOptions(**{"language": "zh", **options}))
    list(preparation)
    return assemble(preparation, [ChunkResult(0, 0, 0.0, 9.0, "zh", (), (spoken,))])


def test_chinese_is_simplified_unless_told_otherwise_and_keeps_its_full_width_signs(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    for options, wanted in (({}, SIMPLIFIED), ({"script": "keep"}, SOUNDS), ({"script": "hant"}, SOUNDS)):
        heard = transcript_of(recognizer, tmp_path, **options)
        assert heard.text == wanted
        assert "".join(word.text for word in heard.segments[0].words) == wanted


def test_other_languages_and_translations_are_left_as_they_are(recognizer: Recognizer, tmp_path: Path) -> None:
    assert converter("hans", "ja")("電車で東京へ") == "電車で東京へ"
    assert transcript_of(recognizer, tmp_path, task="translate").text == SOUNDS


def test_a_fixed_language_is_not_asked_for(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Noting:
        def __init__(self, model: Any) -> None:
            self._model = model

        def detect_language(self, features: Any) -> Any:
            found = self._model.detect_language(features)
            asked.append(len(found))
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._model, name)

    monkeypatch.setattr(recognizer.decoder, "_model", Noting(recognizer.decoder._model))
    path = SAMPLES / "demo_M7_neutral.wav"
    recognizer.transcribe([path], language="zh")
    assert asked == []
    recognizer.transcribe([path])
    assert asked == [1]
