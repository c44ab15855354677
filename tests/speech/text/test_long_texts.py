"""Texts of up to 100,000 characters: nothing but TextError, no hanging, and time that grows with the length only."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.errors import TextError
from speech.text import FrontEnd

LONGEST = 100_000
FRONT_END = FrontEnd()
PARTS = [
    *"的一儿不第，。！？：、…—.-~“”‘（）《》 \n\t019,:/%℃$¥+*@&'\"()[]aeXZ年万转", "2026-11-21", "3.5", "1/2",
    "1:30", "13800138000", "GPT-4", "hello", "km/h", "http://a.b/", "a@b.cn", "......", "……", "。。。", "[pinyin:hao3]",
    "[pinyin:", "[pause:1ms]", "[emotion:happy]", "[/emotion]", "[voice:", "一会儿", "百分之", "½", "é", "😀", "\u200b",
    "1. ", "e.g.", "<s>", "</s>", "<break/>", "<p>好</p>", "&amp;", "&", "<!--", "-->", "<![CDATA[", "]]>",
]  # fmt: skip


def seconds_to_read(text: str, markup: str) -> float:
    began = time.thread_time()
    with contextlib.suppress(TextError):
        FRONT_END.sentences(text, markup=markup)
    return time.thread_time() - began


@pytest.mark.timeout(20)
@pytest.mark.parametrize("count", [30, 300, LONGEST])
@pytest.mark.parametrize("dots", [".", "…", "...…", ". ", "。.", "...”"])
def test_rows_of_dots_as_in_a_table_of_contents_do_not_hang(dots: str, count: int):
    # Thirty dots once took a third of a second, and each further one half as long again.
    assert FRONT_END.plain("第一章" + (dots * count)[:count])


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(PARTS), min_size=1, max_size=30).map("".join),
    st.integers(1, 20_000),
    st.sampled_from(["inline", "ssml", "none"]),
)
def test_any_long_text_is_read_or_refused(part: str, characters: int, markup: str):
    text = (part * (characters // len(part) + 1))[:characters]
    seconds_to_read(f"<speak>{text}</speak>" if markup == "ssml" else text, markup)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("before", "part", "after", "markup"),
    [
        ("", "第一章，今天3.5元。", "", "inline"), ("“", "好。", "”", "inline"), ("", "a'b-", "", "inline"),
        ("", "1,111~", "", "inline"), ("", "1. ", "", "inline"), ("", "。…", "", "inline"),
        ("", "好[pinyin:hao3]", "", "inline"), ("", "[emotion:happy]好", "", "inline"),
        ("<speak>", "<s>好&amp;</s><break time='1ms'/>", "</speak>", "ssml"),
        ("<speak><p>", "好\n", "</p></speak>", "ssml"),
    ],
)  # fmt: skip
def test_four_times_the_text_takes_some_four_times_the_time(before: str, part: str, after: str, markup: str):
    def least(characters: int) -> float:
        text = before + part * (characters // len(part)) + after
        return min(seconds_to_read(text, markup) for _ in range(3))

    least(1000)
    # What grows with the square would take sixteen times as long.
    assert least(LONGEST // 5) < 9 * least(LONGEST // 20) + 0.02


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("markup", ["inline", "ssml", "none"])
def test_the_longest_text_is_read(markup: str):
    sentence = "小明在2026年买了3.5kg苹果，“真的吗？”GPT-4说。\n"
    text = sentence * (LONGEST // len(sentence))
    found = FRONT_END.sentences(f"<speak>{text}</speak>" if markup == "ssml" else text, markup=markup)
    assert sum(bool(one.symbols) for one in found) >= LONGEST // len(sentence)
