"""No sentence ends inside a number, an English word, an address or a short quotation, whatever stands around it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from speech.text import FrontEnd
from speech.text.sentences import split

NARROW = FrontEnd(max_symbols=80)
NUMBERS = [
    "3.14", "1,234.50", "2026-11-21", "2026.11.21", "2026/1/5", "v2.0.1", "192.168.1.1", "10:30", "9:00-18:30",
    "23:59:59", "3-5", "3:2", "12.8%", "-3.5℃", "$1.5", "¥1,200.00", "1/3", "5又1/2", "13800138000", "010-12345678",
    "+86 138 0013 8000", "400-820-8820", "100km/h", "1.5亿", "2.0", "0.618", "3.5kg-4.5kg", "6.02×10²³", "39°54′",
]  # fmt: skip
ENGLISH = [
    "hello", "don't", "iPhone", "GPT-4", "U.S.", "e.g.", "Mr. Li", "Dr. Wang", "a.m.", "Node.js", "report_v2.1.docx",
    "name.x@mail.example.com", "https://www.example.com/a/b?id=3&q=1.2", "www.example.com.cn", "C++", "R&D", "AT&T",
    "John F. Kennedy", "O'Neill", "Wi-Fi", "No.5", "St. John", "etc.",
]  # fmt: skip
QUOTED = [
    "“你好。我来了！真的吗？”", "「走吧。快！」", "‘不。’", "（他不知道。真的。）", "《你好，李焕英。》", '"Go. Now!"',
    "【注：见下。】", "“他说：‘好。走。’然后走了。”", "“版本2.0.1。见a.com?b=1。”",
]  # fmt: skip
FILLERS = ["我", "今天天气很好", "大约", "其中", "的人", "，", "、", "：", " ", "是", "和", "——", "那么，"]
ENDS = ["。", "！", "？", "……", "。\n", "!", "?!", "。” ", "；", "…。"]


def joined(parts: list[tuple[str, bool]]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of the parts, and the stretches of those that must stay whole."""
    text, whole = "", []
    for part, kept in parts:
        # Two numbers that touch are another number, two words another word.
        if kept and text and (text[-1].isascii() or text[-1] in "³′℃") and not text[-1].isspace():
            text += "和"
        if kept:
            whole.append((len(text), len(text) + len(part)))
        text += part
    return text, whole


def parts_of(*whole: str) -> st.SearchStrategy[list[tuple[str, bool]]]:
    loose = st.sampled_from([*FILLERS, *ENDS]).map(lambda part: (part, False))
    kept = st.sampled_from([*whole]).map(lambda part: (part, True))
    return st.lists(st.one_of(loose, kept, loose), max_size=14)


def cut_inside(places: list[int], whole: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start, end) for start, end in whole if any(start < place < end for place in places)]


RELAXED = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@RELAXED
@given(parts_of(*NUMBERS, *ENGLISH))
@example([("请看", False), ("https://www.example.com/a/b?id=3&q=1.2", True), ("。", False), ("好", False)])
@example([("他在", False), ("U.S.", True), ("工作。", False)])
def test_no_number_and_no_english_word_is_cut(parts: list[tuple[str, bool]]):
    text, whole = joined(parts)
    spans = split(text)
    assert "".join(text[span.start : span.end] for span in spans) == text
    assert not [text[start:end] for start, end in cut_inside([span.end for span in spans], whole)]


@RELAXED
@given(parts_of(*QUOTED))
@example([("今天天气很好", False)] * 15 + [("“你好。我来了！真的吗？”", True)])
def test_no_short_quotation_is_cut(parts: list[tuple[str, bool]]):
    # A quotation that another mark opened or closes before is not the same one.
    text, whole = joined([part for part in parts if part[1] or not set(part[0]) & set("”\"'")])
    spans = split(text)
    assert not [text[start:end] for start, end in cut_inside([span.end for span in spans], whole)]


@pytest.mark.slow
@RELAXED
@given(parts_of(*NUMBERS, *(word for word in ENGLISH if " " not in word and len(word) < 20)))
@example([("今天天气很好", False), ("1,234.50", True), ("1.5亿", True), ("今天天气很好", False), ("2026-11-21", True)])
def test_a_sentence_cut_for_its_length_keeps_them_whole_too(parts: list[tuple[str, bool]]):
    text, whole = joined([part for part in parts if "\n" not in part[0]])
    places, at = [], 0
    for sentence in NARROW.plain(text):
        at = text.index(sentence.text, at) + len(sentence.text)
        places.append(at)
    assert not [text[start:end] for start, end in cut_inside(places, whole)]
