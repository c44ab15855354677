"""Quoted speech and narration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.books.dialogue import passages


def split(paragraph):
    return [(passage.text, passage.quoted) for passage in passages(paragraph)]


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("“你好。”他说。", [("“你好。”", True), ("他说。", False)]),
        ("小明说：“我走了”，就走了。", [("小明说：", False), ("“我走了”，", True), ("就走了。", False)]),
        ("“来，”他说，“我们走吧！”", [("“来，”", True), ("他说，", False), ("“我们走吧！”", True)]),
        ("「どうぞ。」と言った。", [("「どうぞ。」", True), ("と言った。", False)]),
        ("他说：“老师说‘好’。”", [("他说：", False), ("“老师说‘好’。”", True)]),
        ("「他说『好。』」", [("「他说『好。』」", True)]),
        ('"Come in," she said. "Sit down."', [('"Come in,"', True), (" she said. ", False), ('"Sit down."', True)]),
        ("“第一段没有结束。", [("“第一段没有结束。", True)]),
        ("天亮了。", [("天亮了。", False)]),
        ("他是所谓的“朋友”，其实不是。", [("他是所谓的“朋友”，其实不是。", False)]),
        ("《红楼梦》里“满纸荒唐言”很有名。", [("《红楼梦》里“满纸荒唐言”很有名。", False)]),
        ('It is 5" long.', [('It is 5" long.', False)]),
        ("", [("", False)]),
    ],
)
def test_speech_is_told_from_narration(paragraph, expected):
    assert split(paragraph) == expected


@given(st.text(alphabet="你好。，：“”「」『』\"'‘’ab ", max_size=60))
def test_nothing_is_lost_added_or_moved(paragraph):
    found = passages(paragraph)
    assert "".join(passage.text for passage in found) == paragraph
    assert all(passage.text for passage in found) or paragraph == ""
