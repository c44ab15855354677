"""Plain texts: encodings, headings, paragraphs; what is prose must not become a heading."""

import pytest

from speech.books import BookError, book_of_chapters, read_book
from speech.books.charset import decode_text
from speech.books.plaintext import read_plain

PROSE = "山上有一座红色的房子，房子里住着三个孩子和一只小猫。他们说：这是我们的家，我们都很喜欢它。"
TRADITIONAL = "山上有一座紅色的房子，房子裡住著三個孩子和一隻小貓。他們說：這是我們的家，我們都很喜歡它。"


def read(text, encoding="utf-8"):
    return read_plain(text.encode(encoding))


def chapters(text):
    return [(chapter.title, list(chapter.paragraphs)) for chapter in read(text).chapters]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gb2312"])
def test_chinese_encodings_are_detected(encoding):
    text = f"第一章 小屋\n{PROSE}\n"
    book = read_plain(text.encode(encoding))
    assert (book.chapters[0].title, book.chapters[0].paragraphs) == ("第一章 小屋", (PROSE,))
    assert book.warnings == ()


def test_big5_and_western_texts_are_told_from_gb18030():
    assert decode_text(TRADITIONAL.encode("big5")).text == TRADITIONAL
    french = "Là-bas, près de la forêt, l’été était déjà passé. Où êtes-vous allés ? " * 3
    assert decode_text(french.encode("cp1252")).text == french


def test_a_short_gb18030_text_is_detected():
    assert decode_text("你好，我是小明。".encode("gb18030")).text == "你好，我是小明。"


def test_a_few_bad_bytes_are_left_out_with_a_warning():
    book = read_plain((PROSE * 40).encode() + b"\xff\xfe\xff")
    assert book.chapters[0].paragraphs == (PROSE * 40,)
    assert [warning.code for warning in book.warnings] == ["undecodable"]


def test_more_than_nine_chapters_keep_their_order():
    text = "".join(f"第{i}章\n内容{i}。\n" for i in range(1, 13))
    assert [title for title, _ in chapters(text)] == [f"第{i}章" for i in range(1, 13)]


def test_a_printed_table_of_contents_is_not_read():
    text = "目录\n第一章 甲\n第二章 乙\n\n第一章 甲\n一。\n第二章 乙\n二。\n"
    book = read(text)
    assert [(c.title, c.paragraphs) for c in book.chapters] == [("第一章 甲", ("一。",)), ("第二章 乙", ("二。",))]
    assert book.title == ""
    assert [reason for _, reason in book.left_out] == ["table of contents"] * 2


def test_a_text_without_headings_is_one_chapter():
    assert chapters("甲。\n\n乙。") == [("", ["甲。", "乙。"])]


def test_title_and_author_are_found_at_the_head_and_not_read():
    book = read("《小屋》作者：王小明\n\n第一章\n甲。\n")
    assert (book.title, book.author) == ("小屋", "王小明")
    assert [c.paragraphs for c in book.chapters] == [("甲。",)]
    english = read("Title: The House\nAuthor: A. Smith\n\nChapter 1\n\nText.\n\nChapter 2\n\nMore.\n")
    assert (english.title, english.author, len(english.chapters)) == ("The House", "A. Smith", 2)


@pytest.mark.parametrize(
    "line", ["献给我的母亲", "献给我的母亲。", "很久以前，有一条小河。", "“你来了。”", "It was late."]
)
def test_a_line_before_the_first_chapter_that_is_no_title_is_read(line):
    book = read(f"{line}\n\n第一章\n甲。\n")
    assert (book.title, [c.paragraphs for c in book.chapters]) == ("", [(line,), ("甲。",)])


@pytest.mark.parametrize("line", ["三体", "三体（全集）", "The House"])
def test_a_line_alone_before_the_first_chapter_is_the_title(line):
    book = read(f"{line}\n\n目录\n\n第一章\n甲。\n")
    assert (book.title, [c.paragraphs for c in book.chapters]) == (line, [("甲。",)])


def test_the_licence_around_a_gutenberg_text_is_taken_off():
    book = read(
        "The Project Gutenberg eBook\nTitle: The House\n*** START OF THE PROJECT GUTENBERG EBOOK THE HOUSE ***\n"
        "Chapter 1\n\nText.\n*** END OF THE PROJECT GUTENBERG EBOOK THE HOUSE ***\nLicence terms.\n"
    )
    assert (book.title, [c.paragraphs for c in book.chapters]) == ("The House", [("Text.",)])


def test_lines_broken_to_a_width_are_joined():
    text = (
        "It was a dark and stormy night and the rain fell in torrents except\n"
        "at occasional intervals when it was checked by a violent gust of wind\n"
        "which swept up the streets for it is in London that our scene lies\n"
        "rattling along the housetops.\n\nSecond paragraph.\n"
    )
    assert chapters(text)[0][1][0].endswith("rattling along the housetops.")
    assert chapters(text)[0][1][1] == "Second paragraph."
    chinese = (
        "山上有一座红色的房子房子里住着三个孩子\n和一只小猫小明今年九岁小明的爸爸是一位画\n"
        "家外面下着大雪兔子又冷又饿小明听见门外面\n有声音。\n"
    )
    assert chapters(chinese)[0][1] == [chinese.replace("\n", "")]


def test_short_lines_of_dialogue_stay_paragraphs():
    assert chapters("“你好。”\n“你好吗？”\n“很好。”\n“再见。”\n")[0][1] == [
        "“你好。”",
        "“你好吗？”",
        "“很好。”",
        "“再见。”",
    ]


def test_ornaments_are_not_paragraphs():
    assert chapters("甲。\n* * *\n———\n乙。\n")[0][1] == ["甲。", "乙。"]


def test_the_demo_story_is_the_same_book_as_text_markdown_and_epub(epub, tmp_path):
    story = read_book("models/demo/domain-story.txt")
    assert [c.title for c in story.chapters] == ["第一章，森林里的小屋", "第二章，会说话的乌龟", "第三章，回家的路"]
    assert [len(c.paragraphs) for c in story.chapters] == [12, 13, 13]
    (tmp_path / "story.md").write_text(
        "".join(f"# {c.title}\n\n" + "\n\n".join(c.paragraphs) + "\n\n" for c in story.chapters)
    )
    pages = {
        f"c{n}.xhtml": f"<h1>{c.title}</h1>" + "".join(f"<p>{p}</p>" for p in c.paragraphs)
        for n, c in enumerate(story.chapters)
    }
    contents = [(c.title, f"c{n}.xhtml", ()) for n, c in enumerate(story.chapters)]
    for path in (tmp_path / "story.md", epub(pages, contents=contents), epub(pages, contents=contents, version=2)):
        assert read_book(path).chapters == story.chapters


@pytest.mark.parametrize("text", ["", "  \n\n", "***\n---\n"])
def test_a_book_without_text_is_refused(text):
    with pytest.raises(BookError) as caught:
        read(text)
    assert caught.value.code == "empty_book"


def test_what_is_no_text_is_refused(tmp_path):
    for name, data in (("a.txt", b"%PDF-1.7 ..."), ("b.txt", bytes(5000)), ("c.mobi", b"x")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BookError) as caught:
            read_book(tmp_path / name)
        assert caught.value.code in {"not_a_book", "empty_book"}


def test_chapters_given_as_json_are_taken_as_they_are():
    given = [
        ("开始", "甲。\n乙。"), ("", "丙。"), ("Cover", "丁。"), ("目录", "戊。"), ("开始", "己。"), ("Index", "Index"),
    ]  # fmt: skip
    book = book_of_chapters(given, title="书", author="王")
    assert [(c.title, list(c.paragraphs)) for c in book.chapters] == [(t, text.split("\n")) for t, text in given]
    assert (book.warnings, book.left_out) == ((), ())


@pytest.mark.parametrize("text", ["", " \n", "* * *"])
def test_a_chapter_given_without_text_is_named_and_not_passed_over(text):
    with pytest.raises(BookError, match=r"chapters\[1\]\.text: ") as caught:
        book_of_chapters([("一", "甲。"), ("二", text), ("三", "丙。")])
    assert caught.value.code == "empty_chapter"


def test_a_title_that_the_text_repeats_in_one_line_or_in_pieces_is_not_read_twice():
    for text in ("第一章 小屋\n甲。", "第一章\n小屋\n甲。", "第一章：\n《小屋》\n甲。"):
        assert book_of_chapters([("第一章 小屋", text)]).chapters[0].paragraphs == ("甲。",)
    for text in ("小屋\n甲。", "第一章\n甲。", "第一章\n小屋里\n甲。"):
        assert book_of_chapters([("第一章 小屋", text)]).chapters[0].paragraphs == tuple(text.split("\n"))
