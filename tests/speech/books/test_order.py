"""Order, names and choice of chapters."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.books import BookError, chapter_name, natural_key, selected, voices_by_chapter


def test_names_sort_as_people_count():
    """The loudest complaint about audiobook makers: chapters in the order 1, 10, 11, 2."""
    names = [f"chapter{i}.xhtml" for i in range(1, 13)]
    assert sorted(names) != names
    assert sorted(random.Random(1).sample(names, 12), key=natural_key) == names
    assert sorted(["第１０章", "第2章", "第1章"], key=natural_key) == ["第1章", "第2章", "第１０章"]


@given(st.lists(st.text(max_size=12), max_size=20))
def test_any_names_can_be_ordered(names):
    ordered = sorted(names, key=natural_key)
    assert sorted(ordered, key=natural_key) == ordered


@given(st.integers(1, 2000), st.lists(st.text(max_size=300), min_size=1, max_size=4))
def test_chapter_files_sort_rightly_and_are_safe_everywhere(total, titles):
    numbers = sorted({1, total, (total + 1) // 2})
    names = [chapter_name(n, total, titles[i % len(titles)], "mp3") for i, n in enumerate(numbers)]
    assert sorted(names) == names  # plain string order, as players and shells sort
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) < 128 and not set(name) & set('/\\:*?"<>|\0\n ') for name in names)
    assert not any(name.startswith(".") for name in names)


def test_a_chapter_file_shows_number_and_title():
    assert chapter_name(7, 120, "第七章：会说话的乌龟？", "m4a") == "007-第七章-会说话的乌龟.m4a"
    assert chapter_name(3, 9, "", "wav") == "03.wav"


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("1-3,5", (1, 2, 3, 5)),
        (" 5 , 1 - 2 ", (1, 2, 5)),
        ("2,2,1-2", (1, 2)),
        ("4-", (4, 5, 6)),
        (None, (1, 2, 3, 4, 5, 6)),
        (" ", (1, 2, 3, 4, 5, 6)),
    ],
)
def test_chapters_are_chosen_in_the_order_of_the_book(selection, chosen):
    assert selected(selection, 6) == chosen


@pytest.mark.parametrize("selection", ["0", "7", "3-1", "a", "1;2", "1-2-3", "-3", "1,", "5-9"])
def test_a_wrong_choice_names_the_part_and_the_last_chapter(selection):
    with pytest.raises(BookError, match=r"chapters_selected.*1 to 6") as caught:
        selected(selection, 6)
    assert caught.value.code == "bad_selection"


def test_chapters_may_have_voices_of_their_own():
    assert voices_by_chapter({"2,4-5": "demo/M7", "1": "demo/F7"}, 6) == {
        1: "demo/F7",
        2: "demo/M7",
        4: "demo/M7",
        5: "demo/M7",
    }
    assert voices_by_chapter({}, 6) == {}


@pytest.mark.parametrize(
    ("voices", "why"),
    [
        ({"7": "demo"}, "'7' does not name chapters of this book; the book has chapters 1 to 6"),
        ({"1-3": "demo/F7", "3": "demo/M7"}, "chapter 3 is given two voices"),
    ],
)
def test_voices_of_chapters_that_are_not_there_or_have_two_are_refused(voices, why):
    with pytest.raises(BookError, match=why) as caught:
        voices_by_chapter(voices, 6)
    assert caught.value.code == "bad_selection"
    assert caught.value.detail.startswith("chapter_voices: ")
