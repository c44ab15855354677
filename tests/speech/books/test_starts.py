"""Where the chapters of an EPUB begin: by its contents, good or bad, or by the headings of its pages."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.books import read_book
from tests.speech.books.conftest import TWO, codes, texts, titles


@pytest.mark.parametrize("version", [2, 3])
def test_the_table_of_contents_names_the_chapters_in_both_versions(epub, version):
    contents = [("第一章 森林", "c1.xhtml", ()), ("第二章 会说话的乌龟", "c2.xhtml", ())]
    pages = {"c1.xhtml": "<p>甲。</p>", "c2.xhtml": "<p>乙。</p>"}
    book = read_book(epub(pages, contents=contents, version=version))
    assert titles(book) == ["第一章 森林", "第二章 会说话的乌龟"]
    assert texts(book) == [["甲。"], ["乙。"]]


def test_a_title_that_the_page_repeats_is_not_read_twice(epub):
    contents = [("第一章 小屋", "c1.xhtml", ()), ("第二章 乌龟", "c2.xhtml", ())]
    book = read_book(epub({**TWO, "c2.xhtml": "<h1>第二章</h1><h2>乌龟</h2><p>天亮了。</p>"}, contents=contents))
    assert texts(book) == [["山上有房子。"], ["天亮了。"]]


@pytest.mark.parametrize("version", [2, 3])
def test_nested_contents_keep_the_order_and_know_their_parts(epub, version):
    contents = [
        ("第一部", "p1.xhtml", [("第一章", "c.xhtml#a", ()), ("第二章", "c.xhtml#b", ())]),
        ("第二部", "p2.xhtml", [("第三章", "d.xhtml", ())]),
    ]
    pages = {
        "p1.xhtml": "<h1>第一部</h1>",
        "c.xhtml": '<h2 id="a">第一章</h2><p>甲。</p><h2 id="b">第二章</h2><p>乙。</p>',
        "p2.xhtml": "<h1>第二部</h1><p>题词。</p>",
        "d.xhtml": "<p>丙。</p>",
    }
    book = read_book(epub(pages, contents=contents, version=version))
    assert titles(book) == ["第一部 第一章", "第二章", "第二部", "第三章"]
    assert texts(book) == [["甲。"], ["乙。"], ["题词。"], ["丙。"]]
    assert [chapter.parents for chapter in book.chapters] == [("第一部",), ("第一部",), (), ("第二部",)]


def test_a_chapter_split_over_pages_is_one(epub):
    pages = {"c1.xhtml": "<p>甲。</p>", "c1b.xhtml": "<p>乙。</p>", "c2.xhtml": "<p>丙。</p>"}
    contents = [("一", "c1.xhtml", ()), ("二", "c2.xhtml", ())]
    assert texts(read_book(epub(pages, contents=contents))) == [["甲。", "乙。"], ["丙。"]]


def test_text_before_a_picture_and_before_the_first_chapter_is_kept(epub):
    pages = {"a.xhtml": "<p>献给你。</p>", "c.xhtml": "<p>图前。<img src='x.png' alt='图'/>图后。</p>"}
    book = read_book(epub(pages, contents=[("一", "c.xhtml", ())]))
    assert texts(book) == [["献给你。"], ["图前。图后。"]]
    assert book.chapters[1].skipped == {"images": 1}


def test_contents_that_lead_nowhere_do_not_lose_the_text(epub):
    contents = [("一", "gone.xhtml", ()), ("二", "c1.xhtml#nowhere", ()), ("三", "../../etc/passwd", ())]
    book = read_book(epub(TWO, contents=contents))
    assert titles(book) == ["二", "第二章 乌龟"]
    assert texts(book) == [["第一章 小屋", "山上有房子。"], ["天亮了。"]]
    assert [(warning.code, warning.at) for warning in book.warnings] == [("lost_place", "三"), ("empty_chapter", "一")]


def test_a_line_of_the_contents_without_a_place_is_looked_for_among_the_headings(epub):
    pages = {
        "a.xhtml": "<h1>第一章 甲</h1><p>子。</p><h2>小结</h2><p>丑。</p><h2>小结</h2><p>寅。</p>",
        "b.xhtml": "<h1>第二章 乙</h1><p>卯。</p><h1>第三章 丙</h1><p>辰。</p>",
    }
    inner = [("小结", "a.xhtml", ()), ("小结", "a.xhtml#gone", ())]
    contents = [("第一章　甲", "a.xhtml#h1", inner), ("第二章 乙", "b.xhtml", ()), ("第三章 丙", "b.xhtml", ())]
    book = read_book(epub(pages, contents=contents))
    assert titles(book) == ["第一章 甲", "小结", "小结", "第二章 乙", "第三章 丙"]
    assert texts(book) == [["子。"], ["丑。"], ["寅。"], ["卯。"], ["辰。"]]
    assert codes(book) == []


def test_a_line_of_the_contents_that_has_no_place_takes_none_from_another(epub):
    pages = {"a.xhtml": '<h1 id="a">第一章 甲</h1><p>子。</p>', "b.xhtml": "<h1>第二章 乙</h1><p>丑。</p>"}
    contents = [("第一章 甲", "a.xhtml#a", [("某处", "a.xhtml#gone", ())]), ("第二章 乙", "b.xhtml", ())]
    contents += [("又名", "b.xhtml", ()), ("再名", "b.xhtml", ())]
    book = read_book(epub(pages, contents=contents))
    assert titles(book) == ["第一章 甲", "第二章 乙"]
    assert texts(book) == [["子。"], ["丑。"]]
    assert [(warning.code, warning.at) for warning in book.warnings] == [
        ("lost_place", "某处"),
        ("lost_place", "又名"),
        ("lost_place", "再名"),
    ]


def test_a_part_on_the_page_of_its_first_chapter_is_read_with_it(epub):
    contents = [("第一部", "a.xhtml", [("第一章", "a.xhtml", ()), ("第二章", "b.xhtml", ())])]
    book = read_book(epub({"a.xhtml": "<p>子。</p>", "b.xhtml": "<p>丑。</p>"}, contents=contents))
    assert titles(book) == ["第一部 第一章", "第二章"]
    assert codes(book) == []


def test_contents_may_lead_into_what_is_not_read(epub):
    page = (
        '<p>前文。</p><table><tr><td id="c1">第一章</td></tr></table><p>子。</p>'
        '<div style="display:none"><h2 id="c2">第二章</h2></div><p>丑。</p><div hidden="hidden"><a name="c3"/></div>'
        '<p>寅。</p><figure><img id="c4" src="x.png"/></figure><p>卯。</p>'
    )
    contents = [(f"第{number}章", f"c.xhtml#c{at}", ()) for at, number in enumerate("一二三四", 1)]
    book = read_book(epub({"c.xhtml": page}, contents=contents))
    assert [(c.title, c.paragraphs) for c in book.chapters] == [
        ("", ("前文。",)),
        ("第一章", ("子。",)),
        ("第二章", ("丑。",)),
        ("第三章", ("寅。",)),
        ("第四章", ("卯。",)),
    ]


SKIPPING = (
    '<p><img src="0.png"/></p><h2 id="a">一<sup>[1]</sup></h2><p>子。</p><figure><img src="1.png"/></figure><hr/>'
    '<h2 id="b"><img src="2.png"/>二</h2><table><tr><td>表</td></tr></table><p>丑<sup>[2]</sup>。</p><pre>x</pre>'
)


@pytest.mark.parametrize("contents", [[("一", "c.xhtml#a", ()), ("二", "c.xhtml#b", ())], []])
def test_what_is_not_read_is_counted_in_its_own_chapter_of_a_page(epub, contents):
    book = read_book(epub({"c.xhtml": SKIPPING}, contents=contents))
    assert [(chapter.title, chapter.skipped) for chapter in book.chapters] == [
        ("一", {"footnote_marks": 1, "images": 2}),
        ("二", {"code": 1, "footnote_marks": 1, "images": 1, "tables": 1}),
    ]


@pytest.mark.parametrize("title", ["Start", "封面", "Cover"])
def test_contents_that_only_name_a_way_in_leave_the_chapters_to_the_headings(epub, title):
    pages = {
        "way.xhtml": "<h1>小河</h1><p>王明</p>",
        "c1.xhtml": "<h1>第一章</h1><p>子。</p><p>丑。</p>",
        "c1b.xhtml": "<p>寅。</p>",
        "c2.xhtml": "<h1>第二章</h1><p>卯。</p>",
    }
    book = read_book(epub(pages, contents=[(title, "way.xhtml", ())]))
    assert titles(book)[-2:] == ["第一章", "第二章"]
    assert texts(book)[-2:] == [["子。", "丑。", "寅。"], ["卯。"]]
    assert titles(book)[:-2] == (["小河"] if title == "Start" else [])


def test_a_page_that_is_not_read_takes_no_other_with_it(epub):
    pages = {"cover.xhtml": "<p>封面字</p>", "for.xhtml": "<p>献给你。</p>", **TWO}
    contents = [("封面", "cover.xhtml", ()), ("一", "c1.xhtml", ()), ("二", "c2.xhtml", ())]
    book = read_book(epub(pages, contents=contents))
    assert texts(book)[0] == ["献给你。"]
    assert [title for title, _ in book.left_out] == ["封面"]


def test_without_contents_headings_make_the_chapters(epub):
    book = read_book(epub({"all.xhtml": "<h1>书</h1><p>序言。</p><h2>一</h2><p>甲。</p><h2>二</h2><p>乙。</p>"}))
    assert titles(book) == ["书", "一", "二"]
    assert texts(book) == [["序言。"], ["甲。"], ["乙。"]]


@pytest.mark.timeout(60)
def test_contents_of_many_lines_are_laid_over_a_page_in_linear_time(epub):
    page = "".join(f'<h2 id="a{i}">一</h2><p>哈。</p>' for i in range(3000))
    there = [("一", f"c.xhtml#a{i}", ()) for i in range(3000)]
    lost = [("一", f"c.xhtml{'#gone' * (i % 2)}", ()) for i in range(30_000)]
    book = read_book(epub({"c.xhtml": page}, contents=there + lost))
    assert len(book.chapters) == 3000
    assert codes(book) == ["lost_place"] * 30_000


LINES = st.tuples(
    st.sampled_from(["一", "二", "三", "封面", "Start"]),
    st.sampled_from(["a.xhtml", "b.xhtml", "c.xhtml", "gone.xhtml"]),
    st.sampled_from(["", "#i0", "#i1", "#i2", "#gone"]),
)
BLOCKS = st.lists(st.sampled_from(["h1", "h2", "p", "p"]), max_size=5)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=6), pages=st.tuples(BLOCKS, BLOCKS, BLOCKS), version=st.sampled_from([2, 3]))
def test_whatever_the_contents_say_no_words_are_lost(epub, lines, pages, version):
    """Only the pages to which the contents give the name of a cover are not read."""
    made, words = {}, ["末尾"]
    for name, tags in zip("abc", pages, strict=True):
        made[f"{name}.xhtml"] = "".join(f'<{tag} id="i{i}">{name}{i}字</{tag}>' for i, tag in enumerate(tags))
        if not any(title == "封面" and page == f"{name}.xhtml" for title, page, _ in lines):
            words += [f"{name}{i}字" for i in range(len(tags))]
    contents = [(title, page + place, ()) for title, page, place in lines]
    book = read_book(epub({**made, "d.xhtml": "<p>末尾</p>"}, contents=contents, version=version))
    read = [said for chapter in book.chapters for said in (*chapter.title.split(), *chapter.paragraphs)]
    told = [*read, *(warning.at for warning in book.warnings)]  # a heading without any text is warned of
    assert [word for word in words if word not in told] == []
    in_order = [word for word in read if word in words]
    assert in_order == [*sorted(in_order[:-1]), "末尾"]
