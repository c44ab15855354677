"""The promise of the engine: a row of a batch is what it would be alone."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.stt import Chunk, ChunkResult, DecodeOptions, Recognizer
from speech.stt.chunks import Piece

from .conftest import RATE, said, sentence


def chunk(audio: np.ndarray, options: DecodeOptions, index: int = 0) -> Chunk:
    return Chunk(index=index, channel=0, pieces=(Piece(0, len(audio)),), audio=audio, options=options)


def same(one: ChunkResult, other: ChunkResult) -> None:
    """Equal words; times within 20 ms, one timestamp token."""
    assert one.text == other.text
    assert one.language == other.language
    assert one.heard_to == pytest.approx(other.heard_to, abs=0.0201)
    assert [s.tokens for s in one.segments] == [s.tokens for s in other.segments]
    for mine, theirs in zip(one.segments, other.segments, strict=True):
        assert mine.start == pytest.approx(theirs.start, abs=0.0201)
        assert mine.end == pytest.approx(theirs.end, abs=0.0201)
        for word, twin in zip(mine.words or (), theirs.words or (), strict=True):
            assert (word.start, word.end) == pytest.approx((twin.start, twin.end), abs=0.0201)


@pytest.fixture(scope="module")
def mixed(recognizer: Recognizer) -> tuple[list[Chunk], list[ChunkResult]]:
    """Chunks of many jobs: short and long, with and without words, prompts, beams; and each one's result alone."""
    kinds = [
        DecodeOptions(language="zh"),
        DecodeOptions(),
        DecodeOptions(language="zh", word_timestamps=True),
        DecodeOptions(language="zh", timestamps=False),
        DecodeOptions(language="zh", beam_size=1),
        DecodeOptions(language="zh", prompt="山上有一座红色的房子。"),
    ]
    chunks = []
    for index in range(9):
        audio = sentence(index % 7).audio if index % 3 else said([index % 7, (index + 2) % 7], 0.4)[1][: 9 * RATE]
        chunks.append(chunk(audio, kinds[index % len(kinds)], index))
    # Torn in the middle of its second sentence, which is heard on into what follows.
    _, audio = said([1, 3, 0], 0.1)
    cut = len(sentence(1).audio) + int(1.6 * RATE)
    pieces = {"pieces": (Piece(0, cut),), "ahead": (Piece(cut, len(audio)),)}
    chunks.append(replace(chunk(audio[:cut], kinds[2], 9), **pieces, ahead_audio=audio[cut:]))
    return chunks, [recognizer.decode([each])[0] for each in chunks]


@pytest.mark.slow
@settings(max_examples=4, deadline=None)
@given(order=st.permutations(range(10)), limit=st.integers(1, 10))
def test_any_order_and_any_batch_limit_give_the_same_words(
    order: list[int], limit: int, recognizer: Recognizer, mixed: tuple[list[Chunk], list[ChunkResult]]
) -> None:
    chunks, alone = mixed
    assert alone[9].heard_to is not None, "a window that goes on is among them"
    for begin in range(0, len(order), limit):
        batch = order[begin : begin + limit]
        for number, result in zip(batch, recognizer.decode([chunks[number] for number in batch]), strict=True):
            same(result, alone[number])


def options_of(seed: int) -> DecodeOptions:
    rng = random.Random(seed)
    return DecodeOptions(
        language=rng.choice(["zh", "en", "fr", "ja", None]),
        task=rng.choice(["transcribe", "translate"]),
        prompt=rng.choice([None, "w1 w2 w3", "w4", " ".join(f"w{n}" for n in range(90))]),
        hotwords=rng.choice([None, "w7 w8"]),
        word_timestamps=rng.random() < 0.3,
        timestamps=rng.random() < 0.6,
        beam_size=rng.choice([1, 3]),
        temperature=0.0,
    )


@pytest.fixture(scope="module")
def unlike(random_recognizer: Recognizer) -> tuple[list[Chunk], list[ChunkResult]]:
    """Chunks that share two buckets, on a model for which language, task and prompt change every token."""
    rng = np.random.default_rng(1)
    chunks = []
    for n in range(10):
        audio = rng.standard_normal(RATE * (1 + n % 3)).astype(np.float32) * 0.1
        options = DecodeOptions(
            language=["zh", "en", "fr", None, "ja"][n % 5],
            task="translate" if n % 3 else "transcribe",
            prompt=f"w{n} w{9 - n} w2" if n % 2 else None,
            timestamps=False,
            beam_size=1,
            temperature=0.0,
        )
        chunks.append(chunk(audio, options, n))
    assert len({random_recognizer.bucket(each) for each in chunks}) == 2
    return chunks, [random_recognizer.decode([each])[0] for each in chunks]


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(10)), limit=st.integers(1, 10))
def test_any_order_and_any_batch_limit_give_the_same_tokens_whatever_the_options(
    order: list[int], limit: int, random_recognizer: Recognizer, unlike: tuple[list[Chunk], list[ChunkResult]]
) -> None:
    chunks, alone = unlike
    for begin in range(0, len(order), limit):
        batch = order[begin : begin + limit]
        for number, result in zip(batch, random_recognizer.decode([chunks[number] for number in batch]), strict=True):
            same(result, alone[number])


@pytest.mark.slow
def test_languages_tasks_prompts_and_hotwords_do_not_leak_into_other_rows(random_recognizer: Recognizer) -> None:
    """With random weights every one of them changes every token."""
    rng = np.random.default_rng(0)
    chunks = [
        chunk(rng.standard_normal(RATE * (1 + n % 5)).astype(np.float32) * 0.1, options_of(n), n) for n in range(24)
    ]
    alone = [random_recognizer.decode([each])[0] for each in chunks]
    together = random_recognizer.decode(chunks)

    for one, other in zip(together, alone, strict=True):
        same(one, other)
    for change in ({"language": "de"}, {"task": "translate"}, {"prompt": "w9"}, {"hotwords": "w9 w10"}):
        plain = DecodeOptions(language="zh", temperature=0.0, timestamps=False)
        first, second = random_recognizer.decode(
            [replace(chunks[4], options=o) for o in (plain, replace(plain, **change))]
        )
        assert first.segments[0].avg_logprob != second.segments[0].avg_logprob, f"{change} matters to every row"


def test_rows_of_one_bucket_are_one_run_of_the_model(random_recognizer: Recognizer) -> None:
    """Languages, tasks and equally long prompts share a run; beams, temperatures and timestamp modes do not."""
    bucket = random_recognizer.bucket
    audio = np.zeros(RATE, np.float32)

    def of(**options: object) -> object:
        return bucket(chunk(audio, DecodeOptions(**options)))  # type: ignore[arg-type]

    base = of(language="zh", prompt="w1 w2")
    assert base == of(language="en", task="translate", prompt="w8 w9")
    assert of(language="zh") == of(language=None)
    for other in ({"prompt": "w1"}, {"beam_size": 1}, {"temperature": 0.2}, {"timestamps": False}):
        assert base != of(**{"language": "zh", "prompt": "w1 w2", **other})
    assert of(language="zh", word_timestamps=True) != of(language="en", word_timestamps=True), "one aligner call each"


def test_too_long_prompt_and_hotwords_are_cut_to_what_the_model_takes(random_recognizer: Recognizer) -> None:
    long = " ".join(f"w{number}" for number in range(2000))
    options = DecodeOptions(language="zh", prompt=long, hotwords=long, temperature=0.0)
    tokens = random_recognizer.decoder.prompts.before(options)

    assert len(tokens) == 224
    audio = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert random_recognizer.decode([chunk(audio, options)])[0].index == 0


class Noting:
    """A model that notes the rows and the temperature of each run."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.runs: list[tuple[int, float]] = []

    def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
        self.runs.append((len(prompts), options.get("sampling_temperature", 0.0)))
        return self._model.generate(features, prompts, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def test_only_failed_rows_climb_the_temperatures(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence played backwards is guessed at; the one beside it keeps its words of temperature 0."""
    model = Noting(recognizer.decoder._model)
    monkeypatch.setattr(recognizer.decoder, "_model", model)
    options = DecodeOptions(language="zh")
    spoken = sentence(1)
    backwards = [sentence(number).audio[::-1].copy() for number in (0, 6)]
    rows = [chunk(backwards[0], options), chunk(spoken.audio, options), chunk(backwards[1], options)]
    results = recognizer.decode(rows)

    assert results[1].text == spoken.text
    assert {segment.temperature for segment in results[1].segments} == {0.0}
    assert model.runs[:2] == [(3, 0.0), (2, 0.2)], "all rows, and then those that failed"
    assert [temperature for _, temperature in model.runs] == sorted(temperature for _, temperature in model.runs)


def test_a_row_that_repeats_itself_is_tried_again_and_the_attempt_that_does_not_is_kept(
    random_recognizer: Recognizer,
) -> None:
    audio = np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32) * 0.1
    ladders = ((0.0,), (0.0, 0.5, 1.0))
    rows = [chunk(audio, DecodeOptions(language="zh", timestamps=False, temperature=each)) for each in ladders]
    once, again = (random_recognizer.decode([row])[0].segments[0] for row in rows)

    assert once.compression_ratio > 2.4, "else this model shows nothing"
    assert once.temperature == 0.0
    assert again.compression_ratio <= 2.4


@pytest.mark.slow
def test_wherever_a_cut_tears_a_sentence_it_is_heard_whole(recognizer: Recognizer) -> None:
    """In its middle, in a word: what the model makes of half a sentence is not believed, but for rare inventions."""
    rows, texts = [], []
    for numbers in ([1, 3, 0], [6, 5, 1], [5, 6, 0]):
        _, audio = said(numbers, 0.1)
        first, second = (sentence(number) for number in numbers[:2])
        for place in (0.35, 0.45, 0.55, 0.65):
            cut = int(0.3 * RATE) + len(first.audio) + int(place * len(second.audio))
            torn = chunk(audio[:cut], DecodeOptions(language="zh"), len(rows))
            rows.append(replace(torn, ahead=(Piece(cut, len(audio)),), ahead_audio=audio[cut:]))
            texts.append(first.text + second.text)

    def whole(chunks: list[Chunk]) -> int:
        heard = zip(recognizer.decode(chunks), texts, strict=True)
        return sum(result.text.startswith(text) for result, text in heard)

    assert whole(rows) >= 11
    assert whole([replace(row, ahead=(), ahead_audio=row.audio[:0]) for row in rows]) <= 3, "else this shows nothing"


def test_a_clip_too_short_for_a_word_is_silent(recognizer: Recognizer) -> None:
    options = DecodeOptions(language="zh", word_timestamps=True)
    clips = [np.zeros(0, np.float32), sentence(0).audio[8000:8160], sentence(0).audio[8000:8330]]
    assert [result.text for result in recognizer.decode([chunk(clip, options) for clip in clips if len(clip)])] == [
        "",
        "",
    ]
