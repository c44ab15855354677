"""File names of clients: nothing invisible, nothing that leads elsewhere, nothing that breaks a header."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from app.names import MOST_BYTES, MOST_CHARS, clean_name, content_disposition


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("a.wav", "a.wav"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\会议.m4a", "会议.m4a"),
        ("a\r\nX: y.wav", "aX: y.wav"),
        ("invoice\u202excod.exe", "invoicexcod.exe"),
        ("..", "file"),
        ("", "file"),
        (" . ", "file"),
        (".wav", "wav"),
        ("e\u0301.mp3", "é.mp3"),
        ("a\u2028b  c.wav", "a b c.wav"),
    ],
)
def test_known_names(given_name, cleaned):
    assert clean_name(given_name) == cleaned


@given(st.text())
@example("长" * 500 + ".wav")
@example("\ud800.wav")
def test_a_cleaned_name_is_harmless_and_cleaning_it_again_changes_nothing(text):
    name = clean_name(text)
    assert name
    assert not set(name) & set("/\\\r\n\0")
    assert name not in {".", ".."}
    assert len(name) <= MOST_CHARS
    assert len(name.encode()) <= MOST_BYTES
    assert not any(unicodedata.category(c).startswith("C") for c in name)
    assert clean_name(name) == name


@given(st.text())
@example('a"; filename="b')
@example("a\r\nSet-Cookie: x")
def test_a_download_name_never_breaks_its_header_and_is_read_back(text):
    header = content_disposition(text)
    assert header.isascii()
    assert header.isprintable()
    assert re.fullmatch(r"attachment; filename=\"[^\"\\]+\"(; filename\*=UTF-8''[A-Za-z0-9%._~-]+)?", header)
    _, options = parse_options_header(header)
    assert options["filename"] == clean_name(text)
