"""Headings of plain texts: what is one, what is prose, and that nothing is lost where it may be either."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.books.plaintext import read_plain
from speech.books.tidy import tidy

PROSE = "山上有一座红色的房子，房子里住着三个孩子和一只小猫。他们说：这是我们的家，我们都很喜欢它。"
HEADINGS = (
    *("第一章", "第二章 小屋", "第三章你好吗？", "第一卷 山", "楔子", "目录", "（一）", "（二）", "I", "II", "2. 再来"),
    *("Chapter 1", "Part Two"),
)
PROSE_LIKE_HEADINGS = (
    *("第一回，他没有来。", "第一节课下课后", "第二话，他说不出来", "第三部电影散场了", "第一部、第二部都很好看。"),
    *("Part ways", "Book them", "Part Ways", "Book Them", "Chapter closed.", "Volume Up"),
    *("（一）他来了", "（二）她也来了", "I went home.", "II. Then I slept", "小河 第二章 再来", "1. 开始", "3. 完了，"),
    *(
        "第二章写得好不好？",
        "序 一个人走着，想起往事。",
        "番外之所以好看，是因为有猫。",
        "第一章，我们讲历史，也讲地理。",
    ),
)


def read(text):
    return read_plain(text.encode())


def chapters(text):
    return [(chapter.title, list(chapter.paragraphs)) for chapter in read(text).chapters]


@pytest.mark.parametrize(
    "heading",
    [
        "第一章",
        "第一章 小屋",
        "第一章，森林里的小屋。",
        "　　第 12 章：风暴",
        "第一百二十回 林黛玉进府 贾宝玉挨打",
        "第3节小屋",
        "序章",
        "楔子",
        "番外 一",
        "后记",
        "Chapter 3",
        "CHAPTER III. THE HOUSE",
        "Chapter One: The House",
        "第3-4章 合",
        "第二章(1)",
        "第〇章",
        "第一章 他来了，她走了。",
        "正文 第一章 小屋",
        "正文第一章 小屋",
        "【第一章】小屋",
        "【第一章 小屋】",
        "\u200b第一章 小屋",
        "\ufeff第一章 小屋",
        "第　一　章　小屋",
        "番外篇：夏天",
        "番外之小红",
        "番外（上）",
        "大结局",
        "大结局（下）",
        "序幕",
        "完结感言",
        "Chap. 1",
        "Ch. 12: The House",
        "ADVENTURE II. THE RED-HEADED LEAGUE",
        "STAVE ONE.",
        "Letter 4",
        "Prologue",
        "EPILOGUE",
        "Book of Genesis",
        "Volume the Last",
    ],
)
def test_headings_are_recognised(heading):
    (first, second) = chapters(f"{heading}\n{PROSE}\n第二章\n乙。\n")
    assert first == (tidy(heading).rstrip("。."), [PROSE])
    assert second == ("第二章", ["乙。"])


@pytest.mark.parametrize("heading", ["☆、第一章 小屋", "## 第一章 小屋", "★第一章 小屋★", "==== 第一章 小屋 ===="])
def test_ornaments_around_a_heading_are_not_its_title(heading):
    assert chapters(f"{heading}\n{PROSE}\n第二章\n乙。\n")[0] == ("第一章 小屋", [PROSE])


@pytest.mark.parametrize(
    "line",
    [
        "第一章讲的是一座小屋，很有意思。",
        "第三章里，小明说了一句话：",
        "第一节课老师没有来，大家都很高兴。",
        "Chapter 3 describes how the house was built.",
        "Introduction to algorithms is a book.",
        "序言写得很好，大家都喜欢读它。",
        "第二天早上",
        "第一次见到他的时候",
        "第一部分工作已经完成，我们休息吧。",
        "第一回，他没有来。",
        "第一节，我们讲的是历史。",
        "第一章，我们讲历史，也讲地理。",
        "第三部、第四部都很好看。",
        "第二章、第三章都看完了",
        "第二章写得好不好？",
        "序 一个人走在路上，他想起了往事。",
        "大结局终于来了",
        "番外之所以好看，是因为有小猫。",
        "序幕拉开了",
        "小河 第二章 再来",
        "（一）",
        "I",
        "1. 开始",
        "Ch. is short for chapter",
        "Letter from Jane",
        "Letter I wrote to Jane",
        "Part Two, he thought.",
        "Part ways",
        "Book them",
        "Chapter closed.",
    ],
)
def test_prose_is_not_taken_for_a_heading(line):
    for after in ("乙。", "\n乙。\n", "\n第九章\n乙。"):
        first = chapters(f"第一章 开头\n甲。\n\n{line}\n{after}\n")[0]
        assert first[0] == "第一章 开头"
        assert first[1][:2] == ["甲。", line]


@pytest.mark.parametrize("line", ["第一节课下课后", "第二话，他说不出来", "Chapter Closed"])
def test_what_may_be_prose_and_has_nothing_below_it_is_read(line):
    """It has the form of a heading, but directly before the next one it would be an empty chapter and not read."""
    assert chapters(f"第一章\n甲。\n{line}\n\n第二章\n乙。\n") == [("第一章", ["甲。", line]), ("第二章", ["乙。"])]


@pytest.mark.parametrize("line", ["Part ways", "Part Ways", "Book Them"])
def test_a_last_line_that_may_be_prose_is_read(line):
    assert chapters(f"Chapter 1\nOne.\n{line}\n") == [("Chapter 1", ["One.", line])]


@pytest.mark.parametrize("count", ["12", "XIV", "B", "forty", "Eighth", "twelfth", "SIXTEEN", "seven", "Eighty-Six"])
def test_a_number_in_english_is_a_heading_even_over_nothing(count):
    book = read(f"Chapter One\nOne.\nChapter {count}\n")
    assert [(c.title, c.paragraphs) for c in book.chapters] == [("Chapter One", ("One.",))]
    assert [(w.code, w.at) for w in book.warnings] == [("empty_chapter", f"Chapter {count}")]


@given(st.lists(st.sampled_from([*PROSE_LIKE_HEADINGS, *HEADINGS, ""]), max_size=25))
def test_what_may_be_prose_is_never_lost(lines):
    book = read("\n".join(["开头，有一座小屋。", *lines]))
    said = "\n".join(text for c in book.chapters for text in (c.title, *c.paragraphs))
    assert [line for line in lines if line in PROSE_LIKE_HEADINGS and line.rstrip("。.") not in said] == []


def test_volumes_contain_chapters():
    book = read("第一卷 山\n第一章 甲\n一。\n第二章 乙\n二。\n第二卷 水\n卷首语。\n第三章 丙\n三。\n")
    assert [c.title for c in book.chapters] == ["第一卷 山 第一章 甲", "第二章 乙", "第二卷 水", "第三章 丙"]
    assert book.chapters[1].parents == ("第一卷 山",)


def test_numbered_lines_are_headings_only_if_they_count_up():
    assert chapters("1\n\n甲。\n\n2\n\n乙。\n\n3\n\n丙。\n") == [("1", ["甲。"]), ("2", ["乙。"]), ("3", ["丙。"])]
    assert chapters("一、小屋\n甲。\n\n二、乌龟\n乙。\n") == [("一、小屋", ["甲。"]), ("二、乌龟", ["乙。"])]
    years = "1998\n\n甲。\n\n2003\n\n乙。\n"
    assert [title for title, _ in chapters(years)] == [""]
    shopping = "要买：\n1. 面包，新鲜的。\n2. 牛奶。\n"
    assert [title for title, _ in chapters(shopping)] == [""]


@pytest.mark.parametrize(
    ("one", "two", "three"),
    [
        ("（一）", "（二）", "（三）"),
        ("(一) 小屋", "(二) 乌龟", "(三) 回家"),
        ("I", "II", "III"),
        ("I. The House", "II. The Turtle", "III. The Way Home"),
        ("I. THE HOUSE.", "II. THE TURTLE.", "III. THE WAY HOME."),
        ("001 小屋", "002 乌龟", "003 回家"),
        ("《小河》第1章 小屋", "《小河》第2章 乌龟", "《小河》第3章"),
        ("小河 第一章 小屋", "小河 第二章 乌龟", "小河 第三章"),
        ("第1章 小屋", "第2章你好吗？", "第3章 回家"),
        ("第1章 小屋", "第2章 走；停", "第3章 回家"),
    ],
)
def test_what_could_be_prose_is_a_heading_where_it_counts_on(one, two, three):
    text = f"{one}\n\n甲。\n\n{two}\n\n乙。\n\n{three}\n\n丙。\n"
    assert chapters(text) == [
        (title.rstrip("."), [body]) for title, body in ((one, "甲。"), (two, "乙。"), (three, "丙。"))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I\n\n甲。\n\nIII\n\n乙。\n",
        "I went home\n\n甲。\n\nII\n\n乙。\n",
        "（一）\n\n甲。\n\n乙。\n",
        "他来了。\n（一）小屋\n（二）乌龟\n",
        "小河 第1章\n\n甲。\n\n大河 第2章\n\n乙。\n",
        "参见 第三章\n\n甲。\n\n参见 第九章\n\n乙。\n",
    ],
)
def test_what_could_be_prose_is_read_where_nothing_counts_on(text):
    assert chapters(text) == [("", [line for line in text.split("\n") if line])]


def test_numbered_chapters_stand_between_a_foreword_and_an_afterword_and_within_parts():
    text = "楔子\n\n零。\n\n1. 开始\n\n甲。\n\n2. 再来\n\n乙。\n\n尾声\n\n丙。\n"
    assert [title for title, _ in chapters(text)] == ["楔子", "1. 开始", "2. 再来", "尾声"]
    book = read("PART ONE\n\nI\n\nOne.\n\nII\n\nTwo.\n\nPART TWO\n\nI\n\nThree.\n\nII\n\nFour.\n")
    assert [c.title for c in book.chapters] == ["PART ONE I", "II", "PART TWO I", "II"]


def test_a_part_whose_name_is_not_set_apart_is_one_over_a_chapter():
    book = read("第一章 甲\n一。\n第二部云涌\n第二章 乙\n二。\n")
    assert [(c.title, c.paragraphs) for c in book.chapters] == [
        ("第一章 甲", ("一。",)),
        ("第二部云涌 第二章 乙", ("二。",)),
    ]


def test_of_two_ways_of_counting_the_outer_one_is_of_chapters():
    text = "一、小屋\n\n（一）\n\n甲。\n\n（二）\n\n乙。\n\n二、乌龟\n\n（一）\n\n丙。\n"
    assert chapters(text) == [("一、小屋", ["（一）", "甲。", "（二）", "乙。"]), ("二、乌龟", ["（一）", "丙。"])]


def test_a_table_of_contents_of_numbered_lines_is_not_read():
    listed = "CONTENTS\n\n I. A Scandal\n II. The League\n III. A Case\n\n\n"
    told = "I. A SCANDAL\n\nI.\n\nOne.\n\nII.\n\nTwo.\n\nII. THE LEAGUE\n\nThree.\n\nIII. A CASE\n\nFour.\n"
    assert [reason for _, reason in read(listed + told).left_out] == ["table of contents"] * 3
    assert chapters(listed + told) == [
        ("I. A SCANDAL", ["I.", "One.", "II.", "Two."]),
        ("II. THE LEAGUE", ["Three."]),
        ("III. A CASE", ["Four."]),
    ]


@pytest.mark.timeout(60)  # each takes well under a second; quadratic ones take minutes
@pytest.mark.parametrize(
    "text",
    [
        ("第" + "一" * 50 + "\n") * 10_000,
        ("#" * 55 + "第\n") * 10_000,
        ("a 第1章 " * 8 + "\n") * 10_000,
        ("（" + "一" * 38 + "\n") * 10_000,
        "I\n\nII\n\n" * 10_000,
        "".join(f"第{n}章你好吗？\n甲\n" for n in range(1, 10_000)) + "第10000章\n乙\n",
        "".join(f"名{n} 第{n}章\n甲\n" for n in range(10_000)),
    ],
    ids=["numerals", "ornaments", "names", "brackets", "romans", "counted", "many names"],
)
def test_headings_are_found_in_linear_time(text):
    assert chapters(text)
