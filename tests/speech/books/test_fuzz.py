"""Mutated EPUBs: read or refused by the reader's own error, with nothing opened but the book itself, and soon."""

import io
import random
import sys
import time
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.books import BookError, read_book
from tests.speech.books.conftest import png

SECRET = "不可告人"
LONGEST_SECONDS = 5.0
"""Of processor time for a book of two pages; a healthy reader takes some milliseconds."""
PIECES = """
< > & ]]> <![CDATA[ <!DOCTYPE&#32;x&#32;[ &a; &#0; &#x110000; xmlns='' href='../../secret.xhtml' href='//h/x'
href='http://[::1' src='http://127.0.0.1:9/a' %00 </html> <?xml encoding='utf-7' encoding='hex' <!-- id='a' <svg>
epub:type='toc' <a&#32;href='#x'> linear='no' full-path='/etc/passwd' idref='' \ufeff"""
"""What mutations put into documents, beside what reaches for the secret file."""
VALUES = (0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFF)
"""What mutations put into the fields of a zip: sizes, offsets, flags, methods."""


class Watch:
    """Notes what is opened or connected to, by Python's audit events, while it is on."""

    def __init__(self):
        self.seen = None
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.seen is not None and event in {"open", "socket.connect", "socket.getaddrinfo", "os.listdir"}:
            self.seen.append((event, str(arguments[0])))


WATCH = Watch()


@pytest.fixture
def books(epub, tmp_path):
    """The bytes of an EPUB 2 and an EPUB 3, and where a file lies that no book may read."""
    secret = tmp_path.parent / "secret.xhtml"
    secret.write_text(f"<html><body><p>{SECRET}</p></body></html>", "utf-8")
    pages = {
        "c1.xhtml": '<h1>一</h1><p>甲<a href="#n"><sup>[1]</sup></a>。</p><p id="n">注</p><img src="i.png"/>',
        "c2.xhtml": "<h2>二</h2><p>乙。</p><table><tr><td>表</td></tr></table>",
    }
    items = '<item id="cover" href="i.png" media-type="image/png" properties="cover-image"/>'
    extra = {"OEBPS/i.png": png(), "META-INF/encryption.xml": "<encryption/>"}
    contents = [("一", "c1.xhtml", (("注", "c1.xhtml#n", ()),)), ("二", "c2.xhtml", ())]
    made = [
        epub(pages, contents=contents, version=version, extra_items=items, extra_files=extra).read_bytes()
        for version in (2, 3)
    ]
    return made, secret


def with_garbled_documents(data, rng, secret):
    """Damage inside of the files, where checksums do not catch it; names that lead elsewhere."""
    reaching = [
        f"<!DOCTYPE x [<!ENTITY s SYSTEM 'file://{secret}'>]>",
        "&s;",
        f"<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='{secret}' parse='text'/>",
        f"href='{secret}'",
        f"href='file://{secret}'",
    ]
    pieces = [piece.replace("&#32;", " ").encode() for piece in [*PIECES.split(), "\0", *reaching]]
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", rng.choice([0, 8, 12, 14])) as new:
        for name in old.namelist():
            content = bytearray(old.read(name))
            for _ in range(rng.choice([0, 1, 1, 2, 5])):
                at, kind = rng.randrange(len(content) + 1), rng.random()
                if kind < 0.6:
                    content[at : at + rng.choice([0, 0, 1, 5, 30])] = rng.choice(pieces) * rng.choice([1, 1, 1, 50])
                elif kind < 0.8:
                    content[at:at] = content[at : at + rng.randrange(200)]
                else:
                    del content[at : at + rng.randrange(60)]
            elsewhere = [f"../{name}", f"/{name}", name.upper(), f"C:\\{name}", name.replace("/", "\\"), "\n"]
            if rng.random() < 0.95:
                new.writestr(rng.choice(elsewhere) if rng.random() < 0.1 else name, bytes(content))
    return packed.getvalue()


def with_garbled_headers(data, rng):
    """Damage to the zip itself: fields of its headers, single bytes, gaps and cuts."""
    garbled = bytearray(data)
    signatures = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7")
    headers = [at for at in range(len(data)) if data[at : at + 4] in signatures]
    for _ in range(rng.choice([1, 1, 2, 4, 10])):
        kind = rng.random()
        if kind < 0.7:
            at, size = rng.choice(headers) + rng.randrange(50), rng.choice([1, 2, 4, 8])
            garbled[at : at + size] = (rng.choice(VALUES) & (1 << 8 * size) - 1).to_bytes(size, "little")
        elif kind < 0.85:
            garbled[rng.randrange(len(garbled))] = rng.randrange(256)
        else:
            at = rng.randrange(len(garbled))
            del garbled[at : at + rng.randrange(100)]
    return bytes(garbled)


def examine(path, data):
    """Read a mutated book: its own error or a book, nothing else opened, the secret not in it, in time."""
    path.write_bytes(data)
    began = time.process_time()
    WATCH.seen = []
    try:
        book = read_book(path)
        said = [book.title, book.author, *(text for one in book.chapters for text in (one.title, *one.paragraphs))]
    except BookError as error:
        assert error.detail  # noqa: PT017 - both ends are right
        said = [error.detail]
    finally:
        opened, WATCH.seen = WATCH.seen, None
    assert {name for _, name in opened if not name.startswith(sys.base_prefix)} <= {str(path)}  # codecs are loaded late
    assert not any(SECRET in text for text in said)
    assert time.process_time() - began < LONGEST_SECONDS


FUZZ = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.timeout(120)
@FUZZ
@given(seed=st.integers(0, 2**32), which=st.sampled_from([0, 1]))
def test_garbled_documents_are_read_or_refused_and_nothing_else_is_opened(books, tmp_path, seed, which):
    made, secret = books
    examine(tmp_path / "garbled.epub", with_garbled_documents(made[which], random.Random(seed), secret))


@pytest.mark.timeout(120)
@FUZZ
@given(seed=st.integers(0, 2**32), which=st.sampled_from([0, 1]))
def test_garbled_zips_are_read_or_refused_and_nothing_else_is_opened(books, tmp_path, seed, which):
    made, _ = books
    examine(tmp_path / "garbled.epub", with_garbled_headers(made[which], random.Random(seed)))


@FUZZ
@given(data=st.binary(max_size=400))
def test_any_bytes_called_an_epub_are_refused(tmp_path, data):
    examine(tmp_path / "bytes.epub", b"PK\3\4" + data)


def test_the_watch_would_see_a_file_that_is_opened(tmp_path):
    (tmp_path / "a").write_text("a")
    WATCH.seen = []
    (tmp_path / "a").read_text()
    opened, WATCH.seen = WATCH.seen, None
    assert ("open", str(tmp_path / "a")) in opened
