"""What is spoken in a chapter, in which voice, with which pauses."""

import pytest

from speech.books import BookError, Chapter, Pauses, script
from speech.errors import TextError
from speech.text import FrontEnd, Style

FRONT_END = FrontEnd()
CHAPTER = Chapter("第一章，小屋", ("山上有一座房子。里面有猫。", "“你好。”他说。", "天黑了。"))
PAUSES = Pauses(sentence=200, paragraph=500, title=900, chapter=1500)


def said(chapter=CHAPTER, **options):
    options.setdefault("pauses", PAUSES)
    return script(chapter, FRONT_END, **options)


def test_the_title_comes_first_and_pauses_grow_with_what_ends():
    assert [(s.text, s.pause_ms) for s in said()] == [
        ("第一章，小屋", 900),
        ("山上有一座房子。", 200),
        ("里面有猫。", 500),
        ("“你好。”他说。", 500),
        ("天黑了。", 1500),
    ]


def test_titles_can_be_left_unspoken_and_a_chapter_may_have_none():
    assert said(speak_title=False)[0].text == "山上有一座房子。"
    assert [s.text for s in said(Chapter("", ("甲。",)))] == ["甲。"]


def test_dialogue_gets_its_own_voice():
    found = said(style=Style(voice="narrator"), dialogue=Style(voice="child"))
    assert [(s.text, s.style.voice) for s in found][-3:] == [
        ("“你好。”", "child"),
        ("他说。", "narrator"),
        ("天黑了。", "narrator"),
    ]
    assert [s.pause_ms for s in found][-3:] == [200, 500, 1500]


def test_where_dialogue_breaks_a_sentence_the_pause_is_half():
    found = said(Chapter("", ("“来，”他说，“走吧。”",)), dialogue=Style(voice="child"))
    assert [(s.text, s.pause_ms) for s in found] == [("“来，”", 100), ("他说，", 100), ("“走吧。”", 1500)]


def test_pauses_of_the_markup_are_added():
    found = said(Chapter("", ("甲。[pause:800ms]乙。", "丙。")), markup="inline")
    assert [s.pause_ms for s in found] == [1000, 500, 1500]
    assert [s.text for s in said(Chapter("", ("他写了[pause:800ms]。",)))] == ["他写了[pause:800ms]。"]


def test_bad_markup_is_an_error():
    with pytest.raises(TextError):
        said(Chapter("", ("[pause:99h]甲。",)), markup="inline")


def test_the_last_pause_belongs_to_the_last_sentence_that_is_spoken():
    found = said(Chapter("", ("甲。", "☃☃")))
    assert [(bool(s.symbols), s.pause_ms >= 1500) for s in found] == [(True, True), (False, False)]


def test_the_script_is_always_the_same_so_that_a_book_can_be_resumed():
    assert said(dialogue=Style(voice="child")) == said(dialogue=Style(voice="child"))


def test_an_empty_chapter_says_nothing():
    assert said(Chapter("", ())) == []


@pytest.mark.parametrize("wanted", [{"sentence": -1}, {"paragraph": 10_001}, {"word": 3}])
def test_wrong_pauses_are_refused_with_the_limit(wanted):
    with pytest.raises(BookError, match=next(iter(wanted))) as caught:
        Pauses.of(wanted)
    assert caught.value.code == "bad_pauses"


def test_some_pauses_can_be_set():
    assert Pauses.of({"paragraph": 0}) == Pauses(paragraph=0)
