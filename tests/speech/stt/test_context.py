"""Prompting a chunk with what was heard before it, inside one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech.stt import Chunk, ChunkResult, DecodeOptions, Recognizer
from speech.stt.chunks import Piece, Spoken
from speech.stt.context import CONTEXT_CHARACTERS, said_before, with_context

from .conftest import RATE, said

CARRYING = DecodeOptions(language="zh", condition_on_previous_text=True)


def spoken(text: str, temperature: float = 0.0) -> Spoken:
    return Spoken(0.0, 1.0, text, (), -0.1, 0.0, 1.0, temperature)


def result(index: int, text: str, *, channel: int = 0, language: str = "zh", verdict: str = "speech") -> ChunkResult:
    return ChunkResult(index, channel, 0.0, 1.0, language, (), (spoken(text),), verdict)  # type: ignore[arg-type]


def chunk(index: int, options: DecodeOptions = CARRYING, channel: int = 0) -> Chunk:
    return Chunk(index, channel, (Piece(0, 1),), np.zeros(1, np.float32), options)


def texts(segments: list[Spoken]) -> list[str]:
    return [segment.text for segment in segments]


def test_what_was_said_follows_the_clients_own_prompt() -> None:
    options = DecodeOptions(prompt="人名：重庆。", condition_on_previous_text=True)
    assert with_context(options, [spoken("一。"), spoken("二。")]).prompt == "人名：重庆。一。二。"
    assert with_context(DecodeOptions(prompt="人名。"), [spoken("一。")]).prompt == "人名。", "only if it is wanted"
    assert with_context(CARRYING, []).prompt is None


def test_a_guess_is_not_carried_on() -> None:
    segments = [spoken("一。"), spoken("猜。", temperature=0.8), spoken("三。")]
    assert with_context(CARRYING, segments).prompt == "三。"
    assert with_context(CARRYING, segments[:2]).prompt is None


def test_the_context_of_a_chunk_is_what_was_said_before_it_in_its_channel() -> None:
    heard = {
        "000000-auto": result(0, "一。", language="en"),
        "000000-zh": result(0, "壹。"),
        "000001-zh": result(1, "另。", channel=1),
        "000002-auto": result(2, "三。"),
        "000003-zh": result(3, "四。"),
    }
    assert texts(said_before(chunk(3), heard)) == ["壹。", "三。"]
    assert texts(said_before(chunk(2, channel=1), heard)) == ["另。"]
    assert texts(said_before(chunk(1, DecodeOptions(condition_on_previous_text=True)), heard)) == ["一。"]


def test_what_a_chunk_has_heard_of_the_next_one_is_no_context_of_that() -> None:
    one, torn = (replace(spoken(text), start=start, end=end) for text, start, end in (("一。", 0, 3), ("二。", 3, 7)))
    heard = {"000000-zh": ChunkResult(0, 0, 0.0, 6.0, "zh", (), (one, torn), heard_to=7.0)}
    after = Chunk(1, 0, (Piece(6 * RATE, 12 * RATE),), np.zeros(6 * RATE, np.float32), CARRYING)
    assert texts(said_before(after, heard)) == ["一。"]


def test_a_loop_is_not_carried_on_and_the_context_is_bounded() -> None:
    looped = {"000000-zh": result(0, "一。"), "000001-zh": result(1, "哈哈。", verdict="repetition")}
    assert said_before(chunk(2), looped) == []
    long = {f"{index:06d}-zh": result(index, "字" * 300) for index in range(50)}
    assert len(said_before(chunk(50), long)) <= 5
    prompt = with_context(CARRYING, said_before(chunk(50), long)).prompt
    assert prompt is not None
    assert len(prompt) == CONTEXT_CHARACTERS


@pytest.mark.slow
def test_each_chunk_is_prompted_by_the_last_and_files_still_share_batches(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo model was trained with the text before a window as its prompt."""
    wanted = []
    for name, numbers in (("a", [1, 3, 0, 2, 6, 4]), ("b", [5, 2, 3])):
        text, audio = said(numbers)
        soundfile.write(tmp_path / f"{name}.wav", audio, RATE)
        wanted.append(text)
    batches: list[list[tuple[Chunk, ChunkResult]]] = []
    decode = recognizer.decode

    def noting(chunks: list[Chunk]) -> list[ChunkResult]:
        results = decode(chunks)
        batches.append(list(zip(chunks, results, strict=True)))
        return results

    monkeypatch.setattr(recognizer, "decode", noting)
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    heard = recognizer.transcribe(files, condition_on_previous_text=True)

    assert [each.text for each in heard] == wanted
    assert [len(batch) for batch in batches][:2] == [2, 2], "one chunk of each file"
    first = [pairs[0] for pairs in batches]
    assert len(first) >= 3, "else nothing is carried on"
    said_so_far = ""
    for prompted, result_of_it in first:
        assert (prompted.options.prompt or "") == said_so_far
        said_so_far += result_of_it.text


def test_a_window_that_goes_on_knows_what_its_beginning_said(random_recognizer: Recognizer) -> None:
    decoder = random_recognizer.decoder
    audio = np.random.default_rng(0).standard_normal(3 * RATE).astype(np.float32) * 0.1
    options = DecodeOptions(language="zh", temperature=0.0, condition_on_previous_text=True)
    row = decoder._row(0, Chunk(0, 0, (Piece(0, len(audio)),), audio, options))
    assert row.options.prompt is None
    row.segments.append(spoken(" w1 w2"))
    assert decoder.prompts.before(row.options)
    assert decoder.bucket(row.chunk) != decoder._bucket(row.options)
