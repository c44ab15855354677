"""Against faster-whisper run alone: what it does right we do the same; where it loses words we do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from faster_whisper import BatchedInferencePipeline, WhisperModel

from speech.stt import Chunk, DecodeOptions, Recognizer
from speech.stt.chunks import Piece

from .conftest import RATE, SAMPLES, said


@pytest.fixture(scope="module")
def library(random_folder: Path) -> WhisperModel:
    return WhisperModel(str(random_folder), device="cpu", compute_type="float32", cpu_threads=2)


@pytest.mark.parametrize(
    ("language", "task", "prompt", "hotwords"),
    [
        ("zh", "transcribe", None, None),
        ("en", "translate", "w1 w2 w3", None),
        ("fr", "transcribe", None, "w9 w8"),
        ("zh", "translate", "w1 w2 w3", "w9 w8"),
    ],
)
def test_tokens_are_those_of_the_library(
    random_recognizer: Recognizer,
    library: WhisperModel,
    language: str,
    task: str,
    prompt: str | None,
    hotwords: str | None,
) -> None:
    audio = np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32) * 0.1
    options = DecodeOptions(
        language=language, task=task, prompt=prompt, hotwords=hotwords, timestamps=False, temperature=0.0
    )
    chunk = Chunk(index=0, channel=0, pieces=(Piece(0, len(audio)),), audio=audio, options=options)
    [mine] = random_recognizer.decode([chunk])
    theirs, _ = library.transcribe(
        audio,
        language=language,
        task=task,
        initial_prompt=prompt,
        hotwords=hotwords,
        without_timestamps=True,
        temperature=0.0,
        log_prob_threshold=None,
    )
    [segment] = theirs

    assert mine.text == segment.text
    assert mine.segments[0].avg_logprob == pytest.approx(segment.avg_logprob, abs=1e-4)
    assert mine.segments[0].no_speech_prob == pytest.approx(segment.no_speech_prob, abs=1e-5)
    assert mine.segments[0].compression_ratio == pytest.approx(segment.compression_ratio)


@pytest.mark.slow
def test_words_of_short_files_are_those_of_the_library(recognizer: Recognizer) -> None:
    pipeline = BatchedInferencePipeline(WhisperModel(str(recognizer.model.folder), compute_type="int8", cpu_threads=2))
    files = sorted(SAMPLES.glob("*.wav"))
    for path, mine in zip(files, recognizer.transcribe(files, language="zh"), strict=True):
        theirs = list(pipeline.transcribe(str(path), language="zh", without_timestamps=False, temperature=0.0)[0])
        assert [each.text for each in mine.segments] == [each.text.strip() for each in theirs]
        ends = [each.end for each in theirs]
        assert [each.end for each in mine.segments] == pytest.approx(ends, abs=0.02)


@pytest.mark.slow
def test_words_that_the_library_drops_are_kept(recognizer: Recognizer, tmp_path: Path) -> None:
    """Its windows are as full as they can be: they end inside sentences, whose words it leaves out."""
    pipeline = BatchedInferencePipeline(WhisperModel(str(recognizer.model.folder), compute_type="int8", cpu_threads=2))
    text, audio = said([1, 3, 4, 5, 6])
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, RATE)
    theirs = pipeline.transcribe(str(path), language="zh", without_timestamps=False, temperature=0.0)[0]
    lost = len(text) - len("".join(each.text for each in theirs))

    assert recognizer.transcribe([path], language="zh")[0].text == text
    assert lost > 0, "the library keeps them now: this test and what it is about can go"
