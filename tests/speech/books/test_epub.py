"""EPUBs as they are found in the wild, and as attackers make them."""

import zipfile

import pytest

from speech.books import BookError, read_book
from tests.speech.books.conftest import TWO, codes, png, texts, titles, xhtml


def test_metadata_and_chapters_come_in_the_order_of_the_spine_and_not_of_names(epub):
    pages = {
        "b10.xhtml": "<h1>十</h1><p>丙。</p>",
        "b2.xhtml": "<h1>二</h1><p>乙。</p>",
        "b1.xhtml": "<h1>一</h1><p>甲。</p>",
    }
    book = read_book(epub(pages, spine_order=["b1.xhtml", "b2.xhtml", "b10.xhtml"]))
    assert (book.title, book.author, book.language) == ("小屋", "王小明", "zh-CN")
    assert titles(book) == ["一", "二", "十"]
    assert texts(book) == [["甲。"], ["乙。"], ["丙。"]]


NOTES = {
    "superscript link": '<p>正文<sup><a href="#n1">1</a></sup>继续。</p><p id="n1"><a href="#r">1</a> 注释。</p>',
    "link in brackets": '<p>正文<a id="r" href="#n1">[1]</a>继续。</p><p><a id="n1" href="#r">[1]</a> 注释。</p>',
    "epub 3 types": '<p>正文<a epub:type="noteref" href="#n1">注</a>继续。</p>'
    '<aside epub:type="footnote" id="n1"><p>注释。</p></aside>',
    "mark without link": "<p>正文<sup>[1]</sup>继续。</p>",
    "circled number": '<p>正文<sup><a href="notes.xhtml#n1">①</a></sup>继续。</p>',
    "picture as mark": '<p>正文<a class="duokan-footnote" href="#n1"><img src="n.png"/></a>继续。</p>'
    '<ol class="duokan-footnote-content"><li class="duokan-footnote-item" id="n1"><p>注释。</p></li></ol>',
    "doc roles": '<p>正文<a role="doc-noteref" href="#n1">*</a>继续。</p>'
    '<section role="doc-endnotes"><p>注释。</p></section>',
}


@pytest.mark.parametrize("body", NOTES.values(), ids=NOTES.keys())
def test_footnote_marks_and_notes_are_not_read(epub, body):
    pages = {
        "c.xhtml": f"<h1>一</h1>{body}",
        "notes.xhtml": '<h1>注释</h1><p><a id="n1" href="c.xhtml#r">①</a> 注释。</p>',
    }
    book = read_book(epub(pages))
    assert list(book.chapters[0].paragraphs) == ["正文继续。"]
    assert book.chapters[0].skipped["footnote_marks"] == 1


def test_what_follows_a_note_that_is_not_read_is_read(epub):
    pages = {
        "a.xhtml": '<h1>一</h1><p>正文<sup><a href="b.xhtml#n1">1</a></sup>继续。</p>',
        "b.xhtml": '<aside epub:type="footnote" id="n1"><p>注释。</p></aside><p>甲。</p>',
    }
    book = read_book(epub(pages))
    assert texts(book) == [["正文继续。"], ["甲。"]]
    assert book.chapters[1].skipped == {"footnotes": 1}


def test_notes_on_a_page_of_their_own_are_not_read(epub):
    pages = {
        "c.xhtml": '<h1>一</h1><p>正文<sup><a id="r1" href="notes.xhtml#n1">1</a></sup>继续。</p>',
        "notes.xhtml": '<p><a id="n1" href="c.xhtml#r1">1</a> 注释。</p>',
    }
    assert texts(read_book(epub(pages))) == [["正文继续。"]]


@pytest.mark.parametrize(
    "sentence", ["水是H<sub>2</sub>O。", "面积是5m<sup>2</sup>。", '见<a href="c2.xhtml">第二章</a>。']
)
def test_what_only_looks_like_a_mark_is_read(epub, sentence):
    (text,) = texts(read_book(epub({"c.xhtml": f"<p>{sentence}</p>"})))[0]
    assert text in {"水是H2O。", "面积是5m2。", "见第二章。"}


def test_a_paragraph_to_which_a_note_leads_back_is_read(epub):
    body = '<p id="p1">正文<sup><a href="{}#n1">1</a></sup>继续。</p>'
    for note in (
        '<a href="{}#p1">[1]</a> 注释。',
        '注：<a href="{}#p1">[1]</a>注释。',
        '注释。<a href="{}#p1">[1]</a>',
    ):
        page = body.format("") + f'<p id="n1">{note.format("")}</p>'
        assert texts(read_book(epub({"c.xhtml": page}))) == [["正文继续。"]]
        pages = {"c.xhtml": body.format("n.xhtml"), "n.xhtml": f'<p id="n1">{note.format("c.xhtml")}</p>'}
        assert texts(read_book(epub(pages))) == [["正文继续。"]]


def test_pictures_tables_page_numbers_code_and_ruby_are_not_read_but_counted(epub):
    body = (
        "<p>甲<span epub:type='pagebreak' title='12'/>乙<span class='pagenum'>13</span>。</p>"
        "<figure><img src='a.png'/><figcaption>图一</figcaption></figure>"
        "<table><tr><td>表</td></tr></table>"
        "<pre>code()</pre><svg xmlns='http://www.w3.org/600/svg'><text>字</text></svg>"
        "<p><ruby>漢<rp>(</rp><rt>hàn</rt><rp>)</rp></ruby>字。</p>"
        "<script>alert(1)</script><p hidden=''>隐。</p><p>丙。</p>"
    )
    (chapter,) = read_book(epub({"c.xhtml": f"<h1>一</h1>{body}"})).chapters
    assert list(chapter.paragraphs) == ["甲乙。", "漢字。", "丙。"]
    assert chapter.skipped == {"code": 1, "hidden": 1, "images": 2, "page_numbers": 2, "tables": 1}


@pytest.mark.parametrize(
    "attributes",
    [
        'hidden="hidden"',
        'aria-hidden="true"',
        'style="display:none"',
        'style="color: red; DISPLAY : none !important"',
        'style="visibility: hidden;"',
    ],
)
def test_hidden_text_is_not_read_but_counted(epub, attributes):
    body = f"<h1>一</h1><p {attributes}>隐<b>藏</b></p><p>甲<span {attributes}>隐</span>乙。</p><p {attributes}/>"
    (chapter,) = read_book(epub({"c.xhtml": body})).chapters
    assert chapter.paragraphs == ("甲乙。",)
    assert chapter.skipped == {"hidden": 2}


@pytest.mark.parametrize("style", ["display:block", "-x-display:none", "visibility:visible", "display:nonesuch"])
def test_other_styles_hide_nothing(epub, style):
    assert texts(read_book(epub({"c.xhtml": f'<p style="{style}">甲。</p>'}))) == [["甲。"]]


def test_line_breaks_in_the_source_do_not_part_chinese_words(epub):
    body = "<p>　　山上有一座\n    红色的房子。</p><p>two\n words</p><p>一行<br/>二行</p>"
    assert texts(read_book(epub({"c.xhtml": body}))) == [["山上有一座红色的房子。", "two words", "一行", "二行"]]


def test_cover_copyright_and_contents_pages_are_left_out_with_their_reason(epub):
    pages = {
        "cover.xhtml": xhtml("<p>封面字</p>", attributes=' epub:type="cover"'),
        "rights.xhtml": "<h1>版权信息</h1><p>保留一切权利。</p>",
        **TWO,
    }
    contents = [("版权信息", "rights.xhtml", ()), ("一", "c1.xhtml", ()), ("二", "c2.xhtml", ())]
    book = read_book(epub(pages, contents=contents))
    assert titles(book) == ["一", "二"]
    assert [reason for _, reason in book.left_out] == ["cover page", "by its title not part of the text"]


@pytest.mark.parametrize(
    ("extra", "meta", "guide"),
    [
        ('<item id="i" href="i.png" media-type="image/png" properties="cover-image"/>', "", ""),
        ('<item id="i" href="i.png" media-type="image/png"/>', '<meta name="cover" content="i"/>', ""),
        ("", "", '<guide><reference type="cover" href="cover.xhtml"/></guide>'),
        ("", "", ""),  # the only picture of a first page without text
    ],
)
def test_the_cover_is_found(epub, extra, meta, guide):
    pages = {
        "cover.xhtml": '<div><svg xmlns="http://www.w3.org/600/svg" xmlns:xlink="http://www.w3.org/599/xlink">'
        '<image xlink:href="i.png"/></svg></div>',
        **TWO,
    }
    path = epub(
        pages,
        extra_items=extra,
        metadata="<dc:title>书</dc:title>" + meta,
        guide=guide,
        extra_files={"OEBPS/i.png": png()},
    )
    assert read_book(path).cover == png()


def test_a_cover_of_another_kind_is_a_warning(epub):
    extra = '<item id="i" href="i.gif" media-type="image/gif" properties="cover-image"/>'
    book = read_book(epub(TWO, extra_items=extra, extra_files={"OEBPS/i.gif": b"GIF89a..."}))
    assert book.cover is None
    assert codes(book) == ["bad_cover"]


def test_broken_markup_is_read_as_browsers_do(epub):
    body = "<html><head><title>x</title></head><body><a id='p1'/><p>甲&nbsp;乙<p>丙<b>丁</p></body>".encode()
    assert texts(read_book(epub({"c.xhtml": body}))) == [["甲 乙", "丙丁"]]


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "big5"])
def test_pages_in_other_encodings_are_read(epub, encoding):
    page = f'<?xml version="1.0" encoding="{encoding}"?><html><body><p>山上有一座房子</p></body></html>'.encode(
        encoding
    )
    assert texts(read_book(epub({"c.xhtml": page}))) == [["山上有一座房子"]]


# --- attacks and damage


def test_entities_of_a_document_are_never_expanded(epub):
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE html [<!ENTITY a "哈哈哈哈哈哈哈哈哈哈">'
        '<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
        '<!ENTITY x SYSTEM "file:///etc/passwd">]><html xmlns="http://www.w3.org/599/xhtml"><body>'
        "<p>甲&b;&x;乙&hellip;</p></body></html>"
    )
    book = read_book(epub({"c.xhtml": bomb}))
    assert texts(book) == [["甲乙…"]]
    assert codes(book) == ["entities_ignored"]


def test_a_zip_bomb_is_refused_whatever_size_it_claims(epub, monkeypatch):
    monkeypatch.setattr("speech.books.archive.MAX_ENTRY_BYTES", 1_000_000)
    path = epub({"c.xhtml": "<p>" + "哈" * 2_000_000 + "</p>"})
    with pytest.raises(BookError, match="unpacks to more than") as caught:
        read_book(path)
    assert caught.value.code == "book_too_big"


def test_many_pages_that_are_big_together_are_refused(epub, monkeypatch):
    monkeypatch.setattr("speech.books.archive.MAX_TOTAL_BYTES", 300_000)
    with pytest.raises(BookError) as caught:
        read_book(epub({f"c{i}.xhtml": "<p>" + "哈" * 30_000 + "</p>" for i in range(10)}))
    assert caught.value.code == "book_too_big"


def test_nothing_outside_of_the_archive_is_read(epub, tmp_path):
    (tmp_path / "secret.xhtml").write_text(xhtml("<p>秘密</p>"))
    items = "".join(
        f'<item id="x{i}" href="{href}" media-type="application/xhtml+xml"/>'
        for i, href in enumerate(
            ["../../secret.xhtml", f"{tmp_path}/secret.xhtml", "file:///etc/passwd", "http://10.0.0.1/a.xhtml"]
        )
    )
    path = epub(TWO, extra_items=items)
    with zipfile.ZipFile(path) as archive:
        package = archive.read("OEBPS/content.opf").decode()
    spined = package.replace("</spine>", "".join(f'<itemref idref="x{i}"/>' for i in range(4)) + "</spine>")
    other = tmp_path / "other.epub"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, spined if name.endswith(".opf") else old.read(name))
    book = read_book(other)
    assert texts(book) == [["山上有房子。"], ["天亮了。"]]
    assert codes(book).count("outside_reference") == 4


@pytest.mark.parametrize(
    ("entry", "href"),
    [
        ("a%20b.xhtml", "a%20b.xhtml"),
        ("cafe\u0301.xhtml", "caf\u00e9.xhtml"),
        ("cafe\u0301.xhtml", "caf%C3%A9.xhtml"),
        ("ch:1.xhtml", "ch:1.xhtml"),
        ("Ch9.xhtml", "ch9.XHTML?x=1"),
        ("c#1.xhtml", "c%231.xhtml"),
    ],
)
def test_pages_with_odd_names_are_read_under_their_title_of_the_contents(epub, entry, href):
    pages = {href: "<p>甲。</p>", "c2.xhtml": "<p>乙。</p>"}
    contents = [("第一章", href.upper() if "%" not in href else href, ()), ("第二章", "c2.xhtml", ())]
    path = epub(pages, contents=contents)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("odd.epub"), "w") as new:
        for name in old.namelist():
            new.writestr(f"OEBPS/{entry}" if name == f"OEBPS/{href}" else name, old.read(name))
    book = read_book(path.with_name("odd.epub"))
    assert titles(book) == ["第一章", "第二章"]
    assert texts(book) == [["甲。"], ["乙。"]]
    assert codes(book) == []


def test_a_name_that_is_there_goes_before_one_that_is_like_it(epub):
    path = epub({"a%20b.xhtml": "<p>像。</p>"}, extra_files={"OEBPS/a b.xhtml": xhtml("<p>是。</p>")})
    assert texts(read_book(path)) == [["是。"]]


def test_an_encrypted_book_says_so_but_obfuscated_fonts_do_no_harm(epub):
    def encryption(algorithm, uri):
        return (
            '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
            f'<enc:EncryptedData><enc:EncryptionMethod Algorithm="{algorithm}"/><enc:CipherData>'
            f'<enc:CipherReference URI="{uri}"/></enc:CipherData></enc:EncryptedData></encryption>'
        )

    fonts = encryption("http://www.idpf.org/2008/embedding", "OEBPS/f.otf")
    assert len(read_book(epub(TWO, extra_files={"META-INF/encryption.xml": fonts})).chapters) == 2
    locked = encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/c1.xhtml")
    with pytest.raises(BookError, match=r"OEBPS/c1.xhtml.*copy protection") as caught:
        read_book(epub(TWO, extra_files={"META-INF/encryption.xml": locked}, name="drm.epub"))
    assert caught.value.code == "encrypted_book"


def test_a_zip_with_a_password_says_so(epub):
    path = epub(TWO)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    with pytest.raises(BookError, match="password") as caught:
        read_book(path)
    assert caught.value.code == "encrypted_book"


@pytest.mark.parametrize("damage", ["half", "no zip", "flipped"])
def test_a_damaged_book_is_a_clear_error(epub, damage):
    path = epub(TWO)
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("OEBPS/content.opf")
    flipped = bytearray(data)
    flipped[info.header_offset + 60 : info.header_offset + 80] = bytes(20)
    path.write_bytes({"half": data[: len(data) // 2], "no zip": b"hello" * 100, "flipped": bytes(flipped)}[damage])
    with pytest.raises(BookError) as caught:
        read_book(path, ".epub")
    assert caught.value.code == "not_a_book"


def test_a_zip_without_a_package_and_a_book_without_text_are_clear_errors(epub, tmp_path):
    with zipfile.ZipFile(tmp_path / "plain.epub", "w") as archive:
        archive.writestr("a.txt", "hi")
    with pytest.raises(BookError, match="package"):
        read_book(tmp_path / "plain.epub")
    with pytest.raises(BookError, match="pictures") as caught:
        read_book(epub({"c.xhtml": "<p><img src='scan.png'/></p>"}))
    assert caught.value.code == "empty_book"


def test_an_archive_whose_names_are_no_text_is_a_clear_error(epub):
    path = epub(TWO | {"好.xhtml": "<p>无</p>"})
    path.write_bytes(path.read_bytes().replace("好".encode(), b"\xff\xfe\xfd"))
    with pytest.raises(BookError, match="send it again") as caught:
        read_book(path)
    assert caught.value.code == "not_a_book"


def test_empty_chapters_and_missing_pages_are_warnings(epub):
    pages = {**TWO, "e.xhtml": "<h1>插图</h1><img src='a.png'/>", "gone.xhtml": "<p>无</p>"}
    path = epub(pages, contents=[("一", "c1.xhtml", ()), ("二", "c2.xhtml", ()), ("插图", "e.xhtml", ())])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path.with_name("b.epub"), "w") as new:
        for name in old.namelist():
            if "gone" not in name:
                new.writestr(name, old.read(name))
    book = read_book(path.with_name("b.epub"))
    assert titles(book) == ["一", "二"]
    assert sorted(codes(book)) == ["empty_chapter", "missing_page"]


def test_thousands_of_chapters_are_read_and_too_many_are_refused(epub, monkeypatch):
    pages = {f"c{i}.xhtml": f"<h1>第{i}章</h1><p>字。</p>" for i in range(600)}
    contents = [(f"第{i}章", f"c{i}.xhtml", ()) for i in range(600)]
    assert len(read_book(epub(pages, contents=contents)).chapters) == 600
    monkeypatch.setattr("speech.books.building.MAX_CHAPTERS", 599)
    with pytest.raises(BookError, match="600 chapters; the limit is 599") as caught:
        read_book(epub(pages))
    assert caught.value.code == "book_too_big"


def test_deep_nesting_is_no_stack_overflow(epub):
    body = "<div>" * 5000 + "<p>深。</p>" + "</div>" * 5000
    try:
        book = read_book(epub({"c.xhtml": body, **TWO}))
    except BookError:
        return
    assert "天亮了。" in texts(book)[-1]
