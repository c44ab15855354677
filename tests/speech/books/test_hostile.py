"""Books and pages made to hurt: every one is read or refused, in time that grows with its size and not faster."""

import random
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.books import BookError, chapter_name, natural_key, read_book
from speech.books.building import Draft, Facts, build
from speech.books.markdown import read_markdown
from speech.books.page import read_page
from speech.books.plaintext import read_plain
from tests.speech.books.conftest import xhtml

SIZE = 300_000
MARK = '<a href="#n">[1]</a>'

SLOW_FOR_A_QUADRATIC_READER = {
    "spaces": xhtml("<p>哈" + " " * SIZE + "</p>"),
    "line breaks": xhtml("<p>哈" + "\n" * SIZE + "x</p>"),
    "document types": "<!DOCTYPE [" * (SIZE // 11),
    "an endless tag": "<" + "a" * SIZE,
    "tags without end": "<a " * (SIZE // 3),
    "ampersands": xhtml("<p>" + "&a" * (SIZE // 2) + "</p>"),
    "marks after blanks": xhtml("<p>" + "<span/>" * (SIZE // 14) + MARK * (SIZE // 40) + "</p>"),
    "marks in marks": xhtml("<sup>" * 200 + MARK * (SIZE // 20) + "</sup>" * 200),
    "ids": xhtml('<p id="a">哈</p>' * (SIZE // 16)),
}


@pytest.mark.timeout(60)  # each takes well under a second; quadratic ones take minutes
@pytest.mark.parametrize("text", SLOW_FOR_A_QUADRATIC_READER.values(), ids=SLOW_FOR_A_QUADRATIC_READER.keys())
def test_pages_are_read_in_linear_time(text):
    read_page(text.encode())


ACCENTS = "a" + "\u0301\u0323" * (SIZE // 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("contents", [[("一", f"{ACCENTS}.xhtml", ())], [(ACCENTS, "c1.xhtml", ())], []])
def test_a_run_of_accents_is_composed_nowhere(epub, contents):
    """To compose it takes time that grows with the square of its length."""
    book = read_book(
        epub({"c1.xhtml": f"<h1>一</h1><p>{ACCENTS}</p>", "c2.xhtml": f"<h1>{ACCENTS}</h1>哈。"}, contents=contents)
    )
    assert book.chapters[-1].paragraphs[-1] == "哈。"


@pytest.mark.timeout(60)
def test_a_run_of_accents_is_composed_in_no_name_of_a_file():
    assert chapter_name(1, 1, ACCENTS, "mp3").startswith("01-\u1ea1")
    assert natural_key(ACCENTS) > natural_key("a")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("level", [0, 2])
def test_a_title_is_compared_with_its_repetitions_in_linear_time(level):
    """Of as many letters as there are paragraphs or headings of one letter below it."""
    blocks = [("a", level)] * 50_000 + [("哈。", 0)]
    (chapter,) = build([Draft(title="a" * 50_000, blocks=blocks)], Facts()).chapters
    assert chapter.paragraphs == ("哈。",)


@pytest.mark.parametrize("encoding", ["punycode", "unicode_escape", "idna", "utf-7", "rot13"])
def test_what_is_no_encoding_of_books_is_not_used(encoding):
    """Some of them take time that grows with the square of the page."""
    page = read_page(xhtml(r"<p>bcher-kva \u4e2d +U3k-</p>").replace('"utf-8"', f'"{encoding}"').encode())
    assert [block.text for block in page.blocks] == [r"bcher-kva \u4e2d +U3k-"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["第一章\n" * 20_000, " " * SIZE, "哈" * SIZE, "title:" * 50_000, "1\n\n" * 20_000])
def test_plain_texts_are_read_in_linear_time(text):
    try:
        read_plain(text.encode())
    except BookError as error:
        assert error.code == "empty_book"  # noqa: PT017 - some of them hold no text


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        ">" * 5000 + "a",
        "*a_ " * 10_000,
        "[^a]: x\n  y\n" * 10_000,
        "[^" * 10_000,
        "# \n" * 10_000,
        "<div>\n\n" * 10_000,
        "<div>" * 20_000,
    ],
)
def test_markdown_is_read_in_linear_time(text):
    try:
        read_markdown(text.encode())
    except BookError as error:
        assert error.code == "empty_book"  # noqa: PT017 - some of them hold no text


@given(
    st.lists(
        st.sampled_from(
            [*"<>/&;'\"= ", "<p>", "</p>", "<a href='#x'>", "<sup>", "1", "哈。", "<!--", "]]>", "<b/>", "\x00"]
        ),
        max_size=60,
    )
)
def test_any_markup_is_read(parts):
    read_page("".join(parts).encode())


@given(st.binary(max_size=300))
def test_any_bytes_are_a_text_or_a_clear_error(data):
    try:
        assert read_plain(data).chapters
    except BookError as error:
        assert error.code == "empty_book"  # noqa: PT017 - both ends are right


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_a_damaged_epub_is_read_or_refused(epub, seed):
    path = epub({"c1.xhtml": "<h1>一</h1><p>甲。</p>", "c2.xhtml": "<p>乙。</p>"}, contents=[("一", "c1.xhtml", ())])
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 30)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data[: rng.randint(len(data) // 2, len(data))] if rng.random() < 0.3 else data)
    try:
        assert read_book(path).chapters
    except BookError as error:
        assert error.detail  # noqa: PT017 - both ends are right


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_an_epub_whose_package_is_garbled_is_read_or_refused(epub, seed):
    """Damage inside of the compressed files, where checksums do not catch it."""
    path = epub({"c1.xhtml": "<h1>一</h1><p>甲。</p>"}, contents=[("一", "c1.xhtml", ())], version=2 + seed % 2)
    rng = random.Random(seed)
    with zipfile.ZipFile(path) as old:
        files = {name: bytearray(old.read(name)) for name in old.namelist()}
    for data in files.values():
        for _ in range(rng.randint(0, 4)):
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.randint(0, 20)] = rng.choice([b"", b"<", b'"', b"../", b"\xff", b"&x;", b"href"])
    with zipfile.ZipFile(path, "w") as new:
        for name, data in files.items():
            new.writestr(name, bytes(data))
    try:
        assert read_book(path).chapters
    except BookError as error:
        assert error.detail  # noqa: PT017 - both ends are right
