"""A maker of EPUBs: only what a test is about needs to be said."""

import struct
import zipfile
import zlib
from pathlib import Path

import pytest

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
XHTML = (
    '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
    'xmlns:epub="http://www.idpf.org/2007/ops"><head><title>{title}</title></head><body{attributes}>{body}</body></html>'
)
TWO = {"c1.xhtml": "<h1>第一章 小屋</h1><p>山上有房子。</p>", "c2.xhtml": "<h1>第二章 乌龟</h1><p>天亮了。</p>"}


def titles(book):
    """The titles of a book's chapters."""
    return [chapter.title for chapter in book.chapters]


def texts(book):
    """The paragraphs of each chapter."""
    return [list(chapter.paragraphs) for chapter in book.chapters]


def codes(book):
    """What a book warns of."""
    return [warning.code for warning in book.warnings]


def names(folder):
    """The names of a folder's files, hidden ones too, as players and shells sort them."""
    return sorted(path.name for path in folder.iterdir())


def png(width=2, height=2):
    """A small grey picture."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\x80" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def xhtml(body, title="", attributes=""):
    return XHTML.format(title=title, body=body, attributes=attributes)


def nav_list(entries):
    """Nested (title, href, children) as an EPUB 3 list."""
    items = "".join(
        f'<li><a href="{href}">{title}</a>{nav_list(children) if children else ""}</li>'
        for title, href, children in entries
    )
    return f"<ol>{items}</ol>"


def ncx_points(entries):
    return "".join(
        f'<navPoint><navLabel><text>{title}</text></navLabel><content src="{href}"/>{ncx_points(children)}</navPoint>'
        for title, href, children in entries
    )


class EpubMaker:
    """Writes an EPUB with the given pages (name → whole document or body), contents and extras."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        pages,
        *,
        contents=(),
        version=3,
        metadata="<dc:title>小屋</dc:title><dc:creator>王小明</dc:creator><dc:language>zh-CN</dc:language>",
        extra_items="",
        extra_files=None,
        spine_order=None,
        guide="",
        linear=None,
        name="book.epub",
    ):
        path = self.folder / name
        items = [f'<item id="p{i}" href="{href}" media-type="application/xhtml+xml"/>' for i, href in enumerate(pages)]
        ids = {href: f"p{i}" for i, href in enumerate(pages)}
        refs = [
            f'<itemref idref="{ids[href]}"{" linear=" + chr(34) + "no" + chr(34) if href in (linear or ()) else ""}/>'
            for href in (spine_order or pages)
        ]
        toc = ""
        files = dict(extra_files or {})
        if contents and version == 3:
            items.append('<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>')
            files["OEBPS/nav.xhtml"] = xhtml(f'<nav epub:type="toc"><h1>目录</h1>{nav_list(contents)}</nav>')
        elif contents:
            items.append('<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>')
            toc = ' toc="ncx"'
            files["OEBPS/toc.ncx"] = (
                '<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" '
                '"http://www.daisy.org/z3986/2005/ncx-2005-1.dtd"><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/" '
                f'version="2005-1"><navMap>{ncx_points(contents)}</navMap></ncx>'
            )
        package = (
            f'<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="{version}.0">'
            f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf">{metadata}'
            f"</metadata><manifest>{''.join(items)}{extra_items}</manifest>"
            f"<spine{toc}>{''.join(refs)}</spine>{guide}</package>"
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
            archive.writestr("META-INF/container.xml", CONTAINER)
            archive.writestr("OEBPS/content.opf", package)
            for href, page in pages.items():
                whole = page if isinstance(page, bytes) or page.lstrip().startswith("<?xml") else xhtml(page)
                archive.writestr(f"OEBPS/{href}", whole)
            for href, data in files.items():
                archive.writestr(href, data)
        return path


@pytest.fixture
def epub(tmp_path):
    return EpubMaker(tmp_path)
