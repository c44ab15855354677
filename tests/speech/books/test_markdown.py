"""Markdown books."""

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
        ("第二章 河", ("河水很冷。",)),
    ]


def test_what_is_not_read_is_counted():
    book = read_markdown("# 一\n\n甲。\n\n| a |\n|---|\n\n    code\n".encode())
    assert book.chapters[0].paragraphs == ("甲。",)


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


def test_front_matter_that_is_no_yaml_is_a_warning_and_an_alias_bomb_is_not_expanded():
    book = read_markdown("---\ntitle: [\n---\n甲。\n".encode())
    assert [w.code for w in book.warnings] == ["bad_front_matter"]
    bomb = "---\na: &a [x,x]\nb: &b [*a,*a]\ntitle: *b\n---\n甲。\n"
    assert read_markdown(bomb.encode()).title == ""
