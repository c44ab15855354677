"""Words with times: punctuation attached, order kept, nothing outside the segment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speech.stt.words import TimedWord, spread, with_punctuation


def word(text: str, start: float = 0.0, end: float = 0.0) -> TimedWord:
    return TimedWord(text, 1, start, end, 1.0)


def texts(words: list[TimedWord]) -> list[str]:
    return [each.text for each in words]


def test_punctuation_belongs_to_its_word() -> None:
    assert texts(with_punctuation([word(c) for c in "他说：「你好，再见！」走"])) == [
        "他", "说：", "「你", "好，", "再", "见！」", "走",
    ]  # fmt: skip
    assert texts(with_punctuation([word(" He"), word(" said"), word(","), word(' "'), word("no"), word('."')])) == [
        " He", " said,", ' "no."',
    ]  # fmt: skip


def test_punctuation_takes_no_time() -> None:
    first, second = with_punctuation([word("好", 0.1, 0.3), word("，", 0.3, 0.9), word("再", 0.9, 1.0)])
    assert (first.start, first.end, second.start) == (0.1, 0.3, 0.9)


@given(st.lists(st.sampled_from(list("你好，。！“”（）「」")), max_size=20))
def test_no_sign_and_no_token_is_lost(signs: list[str]) -> None:
    joined = with_punctuation([word(sign) for sign in signs])
    assert "".join(texts(joined)) == "".join(signs)
    assert sum(each.tokens for each in joined) == len(signs)


times = st.tuples(st.floats(-1, 40), st.floats(-1, 40))


@given(st.lists(times, max_size=20), st.floats(0, 15), st.floats(0, 15))
def test_times_rise_inside_the_segment(spans: list[tuple[float, float]], start: float, length: float) -> None:
    end = start + length
    placed = spread([word("字", *span) for span in spans], start, end)

    now = start
    for each in placed:
        assert now <= each.start <= each.end <= end
        now = each.end
    assert len(placed) == len(spans)


def test_the_first_word_does_not_cover_the_silence_before_it() -> None:
    spans = [(0.0, 2.0), (2.0, 2.2), (2.2, 2.4), (2.4, 2.6)]
    first, *_ = spread([word("字", *span) for span in spans], 0.0, 3.0)
    assert first.start >= 1.5
    assert first.end == 2.0
