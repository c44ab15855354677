"""Whole recordings: what users get for good, silent, odd and broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech.audio import encode
from speech.errors import AudioError
from speech.stt import DecodeOptions, OptionError, Recognizer

from .conftest import RATE, SAMPLES, said, sentence, silence


def write(path: Path, audio: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, audio, rate)
    return path


def test_the_bundled_recordings_are_heard_word_for_word(recognizer: Recognizer) -> None:
    heard = recognizer.transcribe(sorted(SAMPLES.glob("*.wav")), language="zh")
    assert [each.text for each in heard] == [
        "二零四九年五月五号，我们搬到了重庆。我觉得英语很难，音乐很容易。",
        "第一章，森林里的小屋。山上有一座红色的房子。房子里住着三个孩子和一只小猫。",
        "客厅里有十二把椅子和一张桌子。请打开书，看第十三页。",
    ]
    assert [len(each.segments) for each in heard] == [2, 3, 2]


@pytest.mark.slow
def test_a_long_recording_is_heard_across_its_windows(recognizer: Recognizer, tmp_path: Path) -> None:
    text, audio = said([0, 1, 2, 3, 4, 5, 6, 3, 1])
    [heard] = recognizer.transcribe([write(tmp_path / "a.wav", audio)], language="zh", word_timestamps=True)

    assert heard.text == text
    assert heard.duration == pytest.approx(len(audio) / RATE, abs=1e-3)
    now = 0.0
    for segment in heard.segments:
        assert now <= segment.start < segment.end <= heard.duration
        now = segment.start
        assert segment.words is not None
        assert "".join(word.text for word in segment.words) == segment.text
        inside = segment.start
        for word in segment.words:
            assert inside <= word.start <= word.end <= segment.end
            inside = word.end


def test_segments_begin_where_the_sentences_do(recognizer: Recognizer, tmp_path: Path) -> None:
    first, second = sentence(1).audio, sentence(3).audio
    audio = np.concatenate([silence(5), first, silence(20), second, silence(3)])
    [heard] = recognizer.transcribe([write(tmp_path / "a.wav", audio)], language="zh")

    starts = [segment.start for segment in heard.segments]
    assert starts == pytest.approx([5.1, 25 + len(first) / RATE], abs=0.5)
    assert all(segment.end - segment.start < 4 for segment in heard.segments)


def quiet_files(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    t = np.arange(12 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) * np.exp(-((t * 2) % 1) * 3) for f in (220, 277, 330, 440)) * 0.1
    sounds = {
        "silence": silence(12),
        "noise": rng.standard_normal(12 * RATE) * 0.1,
        "music": chord,
        "tone": np.sin(2 * np.pi * 440 * t) * 0.3,
        "ten milliseconds": sentence(0).audio[8000:8160],
        "nothing": silence(0),
    }
    return [write(folder / f"{name}.wav", audio) for name, audio in sounds.items()]


@pytest.mark.parametrize("language", ["zh", None])
def test_where_nobody_speaks_the_text_is_empty(recognizer: Recognizer, tmp_path: Path, language: str | None) -> None:
    for heard in recognizer.transcribe(quiet_files(tmp_path), language=language, word_timestamps=True):
        assert (heard.text, heard.segments, heard.warnings) == ("", [], [])
        assert heard.language == (language or "")


@pytest.mark.slow
def test_silence_stays_silent_without_speech_detection(recognizer: Recognizer, tmp_path: Path) -> None:
    files = [path for path in quiet_files(tmp_path) if path.stem in {"silence", "noise", "tone", "nothing"}]
    assert [heard.text for heard in recognizer.transcribe(files, language="zh", vad=False)] == [""] * 4


def test_without_speech_detection_all_is_heard(recognizer: Recognizer, tmp_path: Path) -> None:
    text, audio = said([3, 1])
    [heard] = recognizer.transcribe([write(tmp_path / "a.wav", audio)], language="zh", vad=False)
    assert heard.text == text


@pytest.mark.slow
def test_the_language_is_detected_once_for_a_file_and_its_probability_told(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    text, audio = said([0, 1, 2, 3, 4, 5, 6])
    [heard] = recognizer.transcribe([write(tmp_path / "a.wav", audio)])
    assert (heard.language, heard.text) == ("zh", text)
    assert 0.9 < heard.language_probability <= 1.0

    [fixed] = recognizer.transcribe([tmp_path / "a.wav"], language="zh")
    assert (fixed.text, fixed.language_probability) == (heard.text, 1.0)


@pytest.mark.slow
def test_a_chunk_that_hears_another_language_is_decoded_again_in_the_files_own(
    random_recognizer: Recognizer, tmp_path: Path
) -> None:
    """A random model hears a language of its own in each chunk: the vote decides for all of them."""
    rng = np.random.default_rng(0)
    audio = np.concatenate([said([n % 7, (n + 1) % 7] * 5)[1] * (1 + rng.random()) for n in range(4)])
    path = write(tmp_path / "a.wav", audio)
    options = DecodeOptions(temperature=0.0, timestamps=False)
    preparation = random_recognizer.prepare(path, options)
    opening = list(preparation.opening())
    results = random_recognizer.decode(opening)
    preparation.settle(results)
    rest = list(preparation)
    assert preparation.vote is not None
    language = preparation.vote.language

    again = [chunk.index for chunk in rest if chunk.index < len(opening)]
    assert again == [result.index for result in results if result.language != language]
    assert {chunk.options.language for chunk in rest} == {language}
    results += random_recognizer.decode(rest)
    heard = random_recognizer.assemble(preparation, results)
    [fixed] = random_recognizer.transcribe([path], language=language, temperature=0.0, timestamps=False)
    assert heard.text == fixed.text
    assert heard.language == language


@pytest.mark.slow
def test_chunks_done_before_a_restart_are_not_given_again(recognizer: Recognizer, tmp_path: Path) -> None:
    _, audio = said([0, 1, 2, 3, 4, 5, 6])
    path = write(tmp_path / "a.wav", audio)
    options = DecodeOptions(language="zh")
    whole = recognizer.prepare(path, options)
    chunks = list(whole)
    results = recognizer.decode(chunks)

    again = recognizer.prepare(path, options)
    rest = list(again.chunks({chunk.unit: result for chunk, result in zip(chunks[:2], results[:2], strict=True)}))
    assert [chunk.index for chunk in rest] == list(range(2, len(results)))
    heard = recognizer.assemble(again, [*results[:2], *recognizer.decode(rest)])
    assert heard == recognizer.assemble(whole, results)


def test_channels_kept_apart_are_two_speakers(recognizer: Recognizer, tmp_path: Path) -> None:
    (left_text, left), (right_text, right) = said([1, 3]), said([5, 2])
    length = max(len(left), len(right))
    stereo = np.stack([np.pad(left, (0, length - len(left))), np.pad(right, (0, length - len(right)))], axis=1)
    [heard] = recognizer.transcribe([write(tmp_path / "a.wav", stereo)], language="zh", channels="split")

    texts = ["".join(s.text for s in heard.segments if s.channel == channel) for channel in (0, 1)]
    assert texts == [left_text, right_text]
    assert [s.start for s in heard.segments] == sorted(s.start for s in heard.segments)


def test_text_may_be_in_traditional_characters(recognizer: Recognizer) -> None:
    path = SAMPLES / "demo_F7_happy.wav"
    [heard] = recognizer.transcribe([path], language="zh", script="hant", word_timestamps=True)
    assert heard.text == "二零四九年五月五號，我們搬到了重慶。我覺得英語很難，音樂很容易。"
    words = [word.text for segment in heard.segments for word in segment.words or ()]
    assert "".join(words) == heard.text


def test_any_rate_and_width_is_heard(recognizer: Recognizer, tmp_path: Path) -> None:
    spoken = sentence(3)
    files = []
    for rate in (8000, 22_050, 48_000):
        at = np.arange(int(len(spoken.audio) * rate / RATE)) * RATE / rate
        files.append(write(tmp_path / f"{rate}.wav", np.interp(at, np.arange(len(spoken.audio)), spoken.audio), rate))
    assert [heard.text for heard in recognizer.transcribe(files[1:], language="zh")] == [spoken.text] * 2
    assert recognizer.transcribe(files[:1], language="zh")[0].text, "a telephone's 8 kHz is heard, if not perfectly"


def test_a_text_file_is_no_recording(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    path.write_text("这不是录音。" * 500, encoding="utf-8")
    with pytest.raises(AudioError) as caught:
        recognizer.prepare(path)
    assert caught.value.code == "not_media"


def test_a_truncated_file_is_transcribed_as_far_as_it_goes(recognizer: Recognizer, tmp_path: Path) -> None:
    _, audio = said([1, 3, 5, 2])
    whole = write(tmp_path / "whole.wav", audio).read_bytes()
    path = tmp_path / "cut.wav"
    path.write_bytes(whole[: len(whole) // 2])
    [heard] = recognizer.transcribe([path], language="zh")

    assert heard.text.startswith(sentence(1).text)
    [warning] = heard.warnings
    assert warning.at == pytest.approx(len(audio) / RATE / 2, abs=0.1)
    assert f"{warning.at:.2f}" in warning.detail


def test_a_hole_in_a_file_costs_its_words_only_and_the_place_is_told(recognizer: Recognizer, tmp_path: Path) -> None:
    _, audio = said([1, 3, 5, 2])
    encode(tmp_path / "a.m4a", [audio], rate=RATE, format="m4a")
    data = bytearray((tmp_path / "a.m4a").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    (tmp_path / "a.m4a").write_bytes(data)
    [heard] = recognizer.transcribe([tmp_path / "a.m4a"], language="zh")

    assert heard.text.startswith(sentence(1).text)
    assert heard.text.endswith(sentence(2).text)
    assert {warning.code for warning in heard.warnings} == {"damaged"}
    assert heard.warnings[0].at == pytest.approx(len(audio) / RATE / 2, abs=1.0)


def test_a_recording_longer_than_the_limit_is_refused_with_the_limit(recognizer: Recognizer, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", silence(12))
    with pytest.raises(AudioError, match="10 s") as caught:
        list(recognizer.prepare(path, max_seconds=10))
    assert caught.value.code == "too_long"


@pytest.mark.parametrize(
    ("options", "said_so"),
    [
        ({"language": "klingon"}, "language 'klingon'"),
        ({"beam_size": 0}, "beam_size is 0"),
        ({"temperature": 2.0}, "temperature is 2.0"),
        ({"task": "sing"}, "task is 'sing'"),
        ({"channels": "left"}, "channels is 'left'"),
        ({"script": "latin"}, "script is 'latin'"),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, object], said_so: str) -> None:
    with pytest.raises(OptionError, match=said_so):
        DecodeOptions(**options)  # type: ignore[arg-type]


def test_a_language_that_the_model_lacks_is_refused_before_it_can_spoil_a_batch(recognizer: Recognizer) -> None:
    with pytest.raises(OptionError, match="'yue'"):
        recognizer.prepare(SAMPLES / "demo_M7_neutral.wav", DecodeOptions(language="yue"))
