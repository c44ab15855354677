"""Where windows meet: a sentence that a cut has torn is heard whole, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.hearing import distance, letters
from speech.stt import ChunkResult, DecodeOptions, Recognizer
from speech.stt.chunks import Spoken
from speech.stt.seams import stitched

from .conftest import RATE, ROOT

TORN = [
    "叔叔觉得数学很难，音乐很容易。妹妹，请帮我寄信，好吗？椅子旁边有十一本书。请在下午十点十分以前到医院。小李喜欢吃面条，不喜欢吃豆腐。",
    "叔叔觉得数学很难，音乐很容易。小龙走了九天，终于到了山顶。西安后天晴天，非常热。第二天晚上，小明悄悄地出发了。照片在椅子上面。",
    "叔叔觉得数学很难，音乐很容易。商店中午三点四十分开门，晚上七点关门。小红是一九零二年出生的。如果今天多云，我们就去参观博物馆。天津明天晴天，很暖和。",
    "小龙拿着铅笔，高兴地走出了阳台，别说话，邻居在学习，阿姨已经毕业了，爷爷想学语文，可是没有时间，狐狸悄悄地走进了花园。",
]
"""Spoken without longer pauses: windows of ten seconds end inside sentences."""
MISHEARD = 3
"""Characters; a sentence that stays torn costs seven and more."""


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from speech.tts import Voice

    folder = tmp_path_factory.mktemp("torn")
    voice = Voice.load(ROOT / "models" / "demo" / "tts" / "voices" / "demo")
    paths = [folder / f"{number}.wav" for number in range(len(TORN))]
    for path, text in zip(paths, TORN, strict=True):
        soundfile.write(path, voice.synthesize([text])[0], RATE)
    return paths


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(TORN)))
def test_a_sentence_that_a_cut_has_torn_is_heard_whole(recognizer: Recognizer, torn: list[Path], number: int) -> None:
    again = recognizer.decoder.windows_again
    preparation = recognizer.prepare(torn[number], DecodeOptions(language="zh", word_timestamps=True))
    chunks = list(preparation)
    heard = recognizer.assemble(preparation, recognizer.decode(chunks))

    assert len(chunks) > 1
    assert distance(letters(heard.text), letters(TORN[number])) <= MISHEARD
    starts = [segment.start for segment in heard.segments]
    assert starts == sorted(starts)
    assert all(segment.end <= heard.duration for segment in heard.segments)
    words = "".join(word.text for segment in heard.segments for word in segment.words or ())
    assert words == heard.text
    assert recognizer.decoder.windows_again - again <= len(chunks), "one window more for a seam, not for every sentence"


@pytest.mark.slow
def test_some_of_these_are_torn_and_the_count_says_so(recognizer: Recognizer, torn: list[Path]) -> None:
    """Else the test above shows nothing."""
    again = recognizer.decoder.windows_again
    reaching = 0
    for path in torn:
        results = recognizer.decode(list(recognizer.prepare(path, DecodeOptions(language="zh"))))
        reaching += sum(result.heard_to is not None for result in results)
    assert reaching >= 2
    assert recognizer.decoder.windows_again - again >= reaching
    assert recognizer.report()["windows_again"] == recognizer.decoder.windows_again


@pytest.mark.slow
def test_speech_that_the_model_left_out_is_heard_once_more(
    recognizer: Recognizer, torn: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that closes its window after the first sentence loses the others, unless the rest is heard again."""
    from speech.stt import decoder

    read = decoder.read

    def lazy(tokens, **marks):  # type: ignore[no-untyped-def]
        reading = read(tokens, **marks)
        return reading._replace(cutouts=reading.cutouts[:1], resume=None)

    monkeypatch.setattr(decoder, "read", lazy)
    [heard] = recognizer.transcribe([torn[0]], language="zh", temperature=0.0)
    assert distance(letters(heard.text), letters(TORN[0])) <= MISHEARD


def result(index: int, start: float, end: float, spoken: str, *, channel: int = 0) -> ChunkResult:
    """``spoken``: `0-3.5 一 3.6-5 二`: each segment's times and text."""
    words = spoken.split()
    segments = [
        Spoken(*map(float, times.split("-")), text, (), -0.1, 0.0, 1.0, 0.0)
        for times, text in zip(words[::2], words[1::2], strict=True)
    ]
    beyond = max((each.end for each in segments if each.end > end), default=None)
    return ChunkResult(index, channel, start, end, "zh", (), tuple(segments), heard_to=beyond)


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("0-3 一 3.2-5.9 二", "6.1-8 三 8.2-9 四", "一二三四"),
        ("0-3 一 3.2-7 二", "6-7 半 7.2-9 三", "一二三"),
        ("0-3 一 3.2-7 二 7.2-9 三 9.1-9.9 断", "6-7 半 7.1-9 三 9.2-12 四", "一二三四"),
        ("0-3 一 3.2-7 二 7.2-9 三", "6-9 错 9.1-12 四", "一二三四"),
        ("0-3 一 3.2-7 二 7.2-9 三", "6-8 错 8-12 误", "一二三误"),
        ("0-3 一 3.1-5.8 二 6.1-8.5 断", "6.1-9 三", "一二三"),
        ("0-3 一 3.2-7 二", "", "一二"),
    ],
    ids=["no seam", "torn", "torn twice", "wrong at first", "never agreed", "not torn after all", "nothing more"],
)
def test_the_seam_is_the_first_sentence_end_on_which_both_agree(before: str, after: str, text: str) -> None:
    joined = stitched([result(0, 0, 6, before), result(1, 6, 14, after)])
    assert "".join(each.text for each in joined) == text


def test_channels_have_seams_of_their_own() -> None:
    one, other = result(0, 0, 6, "0-3 一 3.2-7 二"), result(1, 0, 6, "0-2 甲 2-5 乙", channel=1)
    after, other_after = result(2, 6, 14, "6-7 半 7.2-9 三"), result(3, 5, 14, "5-6.5 丙 6.6-8 丁", channel=1)
    assert [each.text for each in stitched([one, other, after, other_after])] == ["一二", "甲乙", "三", "丙丁"]


@given(st.lists(st.floats(0.5, 5), min_size=4, max_size=12), st.floats(4, 8), st.floats(0, 5))
def test_of_two_that_hear_the_same_each_sentence_is_kept_once(lengths: list[float], cut: float, ahead: float) -> None:
    """Sentences end to end; the one before hears all that begins before the cut or ends in what follows it."""
    now, sentences = 0.0, []
    for number, length in enumerate(lengths):
        sentences.append(Spoken(now, now + length, f"[{number}]", (), 0.0, 0.0, 1.0, 0.0))
        now += length
    assume(not any(cut - 0.25 < each.start < cut for each in sentences))
    before = [each for each in sentences if each.start < cut or each.end <= cut + ahead]
    torn = [replace(each, start=cut, text="?") for each in sentences if each.start < cut < each.end]
    beyond = max((each.end for each in before if each.end > cut), default=None)
    first = ChunkResult(0, 0, 0.0, cut, "zh", (), tuple(before), heard_to=beyond)
    rest = (*torn, *(each for each in sentences if each.start >= cut))
    second = ChunkResult(1, 0, cut, max(cut, now), "zh", (), rest)
    assert "".join(each.text for each in stitched([first, second])) == "".join(each.text for each in sentences)
