"""File names of clients: nothing invisible, nothing that leads elsewhere, nothing that breaks a header."""

import re
import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.http import parse_options_header

from app.names import content_disposition
from jobs.names import MOST_BYTES, MOST_CHARS, UniqueNames, clean_name, clean_path


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


@pytest.mark.parametrize(
    ("given_name", "cleaned"),
    [
        ("a/b/c.wav", "a/b/c.wav"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a/../b.wav", "a/b.wav"),
        ("C:\\会议\\a.wav", "会议/a.wav"),
        ("a//./b", "a/b"),
        ("a/", "a/file"),
        ("", "file"),
        ("/".join("abcdefghijklmnopqrstuvwxyz"), "j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z"),
    ],
)
def test_a_path_keeps_its_folders_and_leads_only_downwards(given_name, cleaned):
    assert clean_path(given_name) == cleaned
    assert clean_path(cleaned) == cleaned


def test_names_are_given_once():
    names = UniqueNames()
    given_names = ["a.wav", "A.wav", "a.wav", "a (2).wav", "f.x/a", "f.x/a", "a.wav", ".b", ".b"]
    taken = [names.take(name) for name in given_names]
    assert taken == [
        "a.wav",
        "A (2).wav",
        "a (3).wav",
        "a (2) (2).wav",
        "f.x/a",
        "f.x/a (2)",
        "a (4).wav",
        ".b",
        ".b (2)",
    ]


def test_no_name_is_a_file_here_and_a_folder_there():
    names = UniqueNames()
    given_names = ["a.wav", "A.wav/b", "a.wav/c", "A.WAV", "a (2).wav/d", "x/y", "X/z", "x", "x/a.wav", "x/a.wav/b/c"]
    taken = [names.take(name) for name in given_names]
    assert taken == [
        "a.wav",
        "A (2).wav/b",
        "A (2).wav/c",
        "A (3).WAV",
        "a (2) (2).wav/d",
        "x/y",
        "X/z",
        "x (2)",
        "x/a.wav",
        "x/a (2).wav/b/c",
    ]


@given(st.lists(st.lists(st.sampled_from(["a", "A", "a (2)", "b"]), min_size=1, max_size=3).map("/".join), max_size=20))
def test_all_taken_names_can_lie_side_by_side(given_names):
    names = UniqueNames()
    taken = [names.take(name).casefold() for name in given_names]
    folders = {str(folder) for name in taken for folder in PurePosixPath(name).parents}
    assert len({*taken}) == len(taken)
    assert not folders & {*taken}


def test_many_equal_names_do_not_take_ever_longer():
    names, calls = UniqueNames(), 20_000
    assert len({names.take("same.wav") for _ in range(calls)}) == calls
