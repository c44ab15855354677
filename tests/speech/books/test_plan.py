"""The dry run and the manifest."""

import json

import pytest

from speech.books import (
    BookError,
    ChapterEntry,
    Loudness,
    Pauses,
    PlanOptions,
    book_of_chapters,
    manifest,
    plan_of,
    read_book,
    with_details,
)
from speech.books.plaintext import read_plain
from tests.speech.books.conftest import png

BOOK = book_of_chapters([("第一章", "山上有房子。\n里面有猫。"), ("", "天黑了。" * 50)], title="小屋", author="王")


def test_the_plan_says_what_would_be_made():
    plan = plan_of(BOOK).to_json()
    assert (plan["title"], plan["author"], plan["cover"]) == ("小屋", "王", False)
    assert [(c["chapter"], c["title"], c["characters"], c["paragraphs"]) for c in plan["chapters"]] == [
        (1, "第一章", 14, 2),
        (2, "第2章", 200, 1),
    ]
    assert plan["chapters"][0]["first_line"] == "山上有房子。"
    assert plan["characters"] == 214
    assert plan["warnings"] == []
    assert json.loads(json.dumps(plan)) == plan


def test_what_stands_before_the_first_heading_is_shown_as_the_opening_and_not_as_a_chapter():
    def shown(text):
        return [chapter["title"] for chapter in plan_of(read_plain(text.encode())).to_json()["chapters"]]

    assert shown("内容简介：小屋里的故事。\n\n第一章 甲\n一。\n第二章 乙\n二。\n") == ["开篇", "第一章 甲", "第二章 乙"]
    assert shown("It was late.\n\nChapter 1\n\nOne.\n\nChapter 2\n\nTwo.\n") == ["Opening", "Chapter 1", "Chapter 2"]
    assert shown("甲。\n乙。\n") == ["第1章"]
    given = plan_of(book_of_chapters([("", "甲。"), ("第二章", "乙。")]))
    assert [chapter.title for chapter in given.chapters] == ["第1章", "第二章"]


def test_a_long_text_of_one_chapter_is_told():
    def warned(text):
        return [warning["code"] for warning in plan_of(read_plain(text.encode())).to_json()["warnings"]]

    long = "天黑了，外面下着雪。\n" * 5001
    assert warned(long) == ["one_chapter"]
    assert warned(long[: len(long) // 2]) == []
    assert warned(f"第一章\n{long}第二章\n{long}") == []


def test_only_chosen_chapters_count():
    plan = plan_of(BOOK, PlanOptions(selection="2"))
    assert [chapter.selected for chapter in plan.chapters] == [False, True]
    assert plan.characters == 200
    assert plan.seconds == plan.chapters[1].seconds
    with pytest.raises(BookError, match="1 to 2"):
        plan_of(BOOK, PlanOptions(selection="3"))


def test_estimates_follow_speed_and_pauses():
    usual = plan_of(BOOK).seconds
    assert usual == pytest.approx(214 / 3.5, rel=0.3)
    assert plan_of(BOOK, PlanOptions(speed=2.0)).seconds < usual < plan_of(BOOK, PlanOptions(speed=0.5)).seconds
    longer = PlanOptions(pauses=Pauses(paragraph=5000))
    assert plan_of(BOOK, longer).seconds == pytest.approx(usual + 4 * 4.4)


def test_the_estimate_of_the_demo_story_is_near_what_the_demo_voice_needs():
    """Measured: 130.2 s of speech in 41 sentences, and their pauses."""
    story = plan_of(read_book("models/demo/domain-story.txt"))
    assert story.seconds == pytest.approx(130.2 + 28.5, rel=0.1)


def test_latin_words_are_counted_as_words():
    english = book_of_chapters([("Chapter 1", "It was a dark and stormy night in the old house.")])
    assert plan_of(english).seconds == pytest.approx(12 / 2.5 + 1.5 + 2 * 0.6, rel=0.4)


def test_details_of_the_request_replace_those_of_the_book():
    book = with_details(BOOK, {"title": "新", "author": None, "language": " zh-TW "}, png())
    assert (book.title, book.author, book.language, book.cover) == ("新", "王", "zh-TW", png())
    with pytest.raises(BookError, match="JPEG or PNG") as caught:
        with_details(BOOK, {}, b"GIF89a")
    assert caught.value.code == "bad_cover"


def test_the_manifest_lists_chapters_in_order_with_what_was_measured():
    loudness = Loudness(-18.01, -1.2, -1.5, -20.3, -90.0, 0.21)
    entries = [
        ChapterEntry(10, "十", 50, error="no such voice"),
        ChapterEntry(
            2, "二", 200, file="02.mp3", seconds=44.0, start=3.2, sentences=50, gain_db=2.345, loudness=loudness
        ),
        ChapterEntry(1, "一", 14, file="01.mp3", seconds=3.2004, start=0.0, sentences=2, skipped_sentences=["☃"]),
    ]
    made = manifest(BOOK, entries, book_file="book.m4b", loudness="r128")
    assert [chapter["chapter"] for chapter in made["chapters"]] == [1, 2, 10]
    assert (made["seconds"], made["characters"], made["sentences"]) == (47.2, 214, 52)
    assert made["chapters"][1]["loudness"]["integrated_lufs"] == -18.01
    assert made["chapters"][0]["skipped_sentences"] == ["☃"]
    assert made["chapters"][2]["error"] == "no such voice"
    assert json.loads(json.dumps(made, ensure_ascii=False)) == made


def test_the_plan_says_who_speaks_and_which_words_of_the_dictionary_stand_in_the_text():
    book = book_of_chapters([("一", "他说：“我去重庆。”然后走了。"), ("二", "重庆很大。"), ("三", "完了。")])
    options = PlanOptions(
        selection="1-2", voice="demo", chapter_voices={"2": "demo/M7"}, dialogue_voice="demo/F7",
        words=["重庆", "长安", "完了"],
    )  # fmt: skip
    plan = plan_of(book, options).to_json()
    assert [chapter["voice"] for chapter in plan["chapters"]] == ["demo", "demo/M7", "demo"]
    assert [chapter["dialogue_characters"] for chapter in plan["chapters"]] == [len("“我去重庆。”"), 0, 0]
    assert plan["dialogue_voice"] == "demo/F7"
    assert plan["dictionary"] == {"重庆": 2, "长安": 0, "完了": 0}, "chapters that are not chosen do not count"
    assert plan_of(book).to_json()["chapters"][0]["dialogue_characters"] == 0
