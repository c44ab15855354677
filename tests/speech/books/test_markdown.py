"""Markdown books."""

import pytest

from speech.books.markdown import read_markdown

BOOK = """---
title: 小屋
author: [王小明, 李红]
lang: zh-CN
---

# 第一章 森林

山上有一座**红色**的[房子](http://example.com)，
里面有`猫`。[^1] 真的。

## 夜里

![图](x.png) 天黑了。<b>很</b>黑。

- 月亮
- 星星

| 表 | 格 |
|---|---|
| 一 | 二 |

```python
print("code")
```

> 引文。

[^1]: 注释，
    第二行。

# 第二章 河

<div>html</div>

河水很冷。
"""


def test_headings_are_chapters_and_text_is_paragraphs():
    book = read_markdown(BOOK.encode())
    assert (book.title, book.author, book.language) == ("小屋", "王小明, 李红", "zh-CN")
    assert [(c.title, c.paragraphs) for c in book.chapters] == [
        (
            "第一章 森林",
            ("山上有一座红色的房子，里面有猫。 真的。", "夜里", "天黑了。很黑。", "月亮", "星星", "引文。"),
        ),
        ("第二章 河", ("html", "河水很冷。")),
    ]


def test_what_is_not_read_is_counted_in_its_own_chapter():
    first = "# 一\n\n甲[^1]。<img src='x.png'>\n\n| a |\n|---|\n\n    code\n\n"
    book = read_markdown((first + "# ![图](x.png) 二\n\n乙。\n[^1]: 注，\n  释。\n[^x]: 注。\n丙。\n").encode())
    assert [(c.title, c.paragraphs, c.skipped) for c in book.chapters] == [
        ("一", ("甲。",), {"code": 1, "footnote_marks": 1, "images": 1, "tables": 1}),
        ("二", ("乙。", "丙。"), {"footnotes": 2, "images": 1}),
    ]
    assert book.warnings == ()


def test_a_mark_before_brackets_is_no_link():
    (chapter,) = read_markdown("甲[^1](乙)，`[^2]`，[丙[^3]](x)。".encode()).chapters
    assert chapter.paragraphs == ("甲(乙)，[^2]，丙。",)
    assert chapter.skipped == {"footnote_marks": 2}


def test_blocks_of_html_are_read_as_pages_are():
    blocks = [
        '<p align="center">他说：“明天[^1]再来。”</p>',
        "<div>\n今天天气很好。<b>真</b>的。\n</div>",
        "<details><summary>摘要</summary>\n\n*甲*。\n\n</details>",
        "<!-- 注 -->",
        "<table><tr><td>表</td></tr></table>",
        '<p hidden>隐。</p>\n<img src="a.png">',
    ]
    body = "\n\n".join(blocks)
    book = read_markdown(f"# 书\n\n<h2>第一章</h2>\n\n{body}\n\n## 第二章\n\n乙。\n".encode())
    assert [(c.title, c.paragraphs) for c in book.chapters] == [
        ("第一章", ("他说：“明天再来。”", "今天天气很好。真的。", "摘要", "甲。")),
        ("第二章", ("乙。",)),
    ]
    assert book.chapters[0].skipped == {"footnote_marks": 1, "hidden": 1, "images": 1, "tables": 1}


def test_a_block_of_html_is_not_decoded_a_second_time():
    assert read_markdown('<div><meta charset="gbk">河水</div>'.encode()).chapters[0].paragraphs == ("河水",)


def test_a_single_first_heading_is_the_title_of_the_book():
    book = read_markdown("# 小屋\n\n题词。\n\n## 一\n\n甲。\n\n### 细\n\n乙。\n\n## 二\n\n丙。\n".encode())
    assert book.title == "小屋"
    assert [(c.title, c.paragraphs) for c in book.chapters] == [
        ("", ("题词。",)),
        ("一", ("甲。", "细", "乙。")),
        ("二", ("丙。",)),
    ]


def test_parts_above_chapters_are_joined_to_their_first_chapter():
    book = read_markdown("# 上\n## 一\n甲。\n## 二\n乙。\n# 下\n## 三\n丙。\n".encode())
    assert [c.title for c in book.chapters] == ["上 一", "二", "下 三"]


def test_text_without_headings_is_one_chapter():
    assert [c.paragraphs for c in read_markdown("甲。\n\n乙。".encode()).chapters] == [("甲。", "乙。")]


@pytest.mark.parametrize(
    ("block", "title", "author"),
    [
        ('title: "Tom & Jerry"\nauthor: [A & B, &c C]', "Tom & Jerry", "A & B, C"),
        ("title: 1984\nauthors: [甲, 乙]", "1984", "甲, 乙"),
        ("Title: 小河\nDate: 2026-01-01", "小河", ""),
        ("layout: post\nmood: calm", "", ""),
        ("", "", ""),
    ],
)
def test_front_matter_names_the_book_and_is_not_read(block, title, author):
    book = read_markdown(f"---\n{block}\n---\n# 一\n甲。\n# 二\n乙。\n".encode())
    assert (book.title, book.author) == (title, author)
    assert [c.title for c in book.chapters] == ["一", "二"]
    assert book.warnings == ()


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Warning: this book is sad.", "“Warning: this book is sad.”"),
        ("He said: come: now\nand we came.", "“He said: come: now and we came.”"),
        ("# 只是一句话", "“# 只是一句话”"),
        ("注意：\n\nhere: " + "a" * 99, "“注意： here: " + "a" * 50 + "…”"),
    ],
)
def test_text_that_may_be_front_matter_does_not_go_in_silence(text, quoted):
    """It has the form of it, but says nothing that anyone asks of front matter."""
    book = read_markdown(f"---\n{text}\n---\n甲。\n".encode())
    assert book.chapters[0].paragraphs == ("甲。",)
    (warned,) = book.warnings
    assert warned.code == "bad_front_matter"
    assert warned.detail.startswith(f"{quoted} is taken for front matter and not read")
    assert "write ***" in warned.detail
    kept = read_markdown(f"***\n{text}\n***\n甲。\n".encode())  # the cure
    assert kept.chapters[0].text != "甲。" or kept.chapters[0].title
    assert kept.warnings == ()


def test_text_between_rules_is_no_front_matter():
    book = read_markdown("---\n\n献给你。\n\n---\n\n甲。\n".encode())
    assert book.chapters[0].paragraphs == ("献给你。", "甲。")


def test_a_heading_that_repeats_the_title_of_the_front_matter_is_no_part():
    book = read_markdown("---\ntitle: 小河\n---\n# 小河\n## 一\n甲。\n## 二\n乙。\n".encode())
    assert book.title == "小河"
    assert [(c.title, c.parents) for c in book.chapters] == [("一", ()), ("二", ())]
    other = read_markdown("---\ntitle: 小河\n---\n# 上部\n## 一\n甲。\n## 二\n乙。\n".encode())
    assert [(c.title, c.parents) for c in other.chapters] == [("上部 一", ("上部",)), ("二", ("上部",))]


@pytest.mark.parametrize("block", ["title: [", "title: " + "[" * 9000, 'title: "\\UFFFFFFFF"', "a: &a [x]\ntitle: *a"])
def test_front_matter_that_is_no_yaml_or_an_alias_bomb_is_a_warning_and_not_read(block):
    book = read_markdown(f"---\n{block}\n---\n甲。\n".encode())
    assert [w.code for w in book.warnings] == ["bad_front_matter"]
    assert book.title == ""
    assert book.chapters[0].paragraphs == ("甲。",)
