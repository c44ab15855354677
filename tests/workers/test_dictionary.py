"""The operator's dictionary of readings: used for every text, and refused at the start if it is wrong."""

import json

import pytest

from jobs.settings import Settings, settings
from speech.errors import TextError
from speech.text import FrontEnd
from workers.chapters import _front_end as chapters_front_end
from workers.voices import VoiceEngine, front_end


@pytest.fixture
def dictionary(tmp_path, monkeypatch):
    file = tmp_path / "words.txt"
    monkeypatch.setenv("VOXQUEUE_TTS_DICTIONARY", str(file))
    for cached in (settings, front_end, chapters_front_end):
        cached.cache_clear()
    yield file
    for cached in (settings, front_end, chapters_front_end):
        cached.cache_clear()


def test_its_readings_are_spoken(dictionary):
    dictionary.write_text("行长 xing2 chang2\n", encoding="utf-8")
    (sentence,) = front_end().plain("行长。")
    assert "{xing" not in sentence.symbols
    assert [symbol.split("$")[0] for symbol in sentence.symbols.split(" ")] == [
        "{xx_c",
        "{ing_c",
        "{ch_c",
        "{ang_c",
        "{#4",
    ]


def said(found):
    return [symbol.split("$")[0] for sentence in found for symbol in sentence.symbols.split(" ")]


def test_a_books_dictionary_is_laid_over_it(dictionary):
    dictionary.write_text("行长 xing2 chang2\n仇远 qiu2 ying1\nWHO =世卫组织\n", encoding="utf-8")
    words = {"行长": "hang2 zhang3", "who": "=谁"}
    book = chapters_front_end(json.dumps(words).encode())
    assert said(book.plain("行长。")) == said(FrontEnd().sentences("行长[pinyin:hang2 zhang3]。"))
    assert said(book.plain("WHO。")) == said(FrontEnd().plain("谁。"))
    assert said(book.plain("仇远。")) == said(front_end().plain("仇远。")) != said(FrontEnd().plain("仇远。"))
    assert said(front_end().plain("行长。")) != said(book.plain("行长。")), "the operator's own stays as it is"


def test_its_readings_are_part_of_what_a_kept_result_depends_on(dictionary):
    """Else a corrected reading would be answered with the old sound."""
    dictionary.write_text("行长 xing2 chang2\n仇远 qiu2 ying1\n", encoding="utf-8")
    before = VoiceEngine(settings()).identity()
    front_end.cache_clear()
    dictionary.write_text("仇远 qiu2 ying1  # in another order\n行长 xing2 chang2\n", encoding="utf-8")
    assert VoiceEngine(settings()).identity() == before
    front_end.cache_clear()
    dictionary.write_text("行长 hang2 zhang3\n仇远 qiu2 ying1\n", encoding="utf-8")
    assert VoiceEngine(settings()).identity() != before


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("行长 xing9\n".encode(), "line 1 of words.txt"),
        ("行长 xing2 chang2\n".encode("gb18030"), "words.txt cannot be read"),
        (None, "words.txt cannot be read"),
    ],
)
def test_a_wrong_or_missing_file_is_refused_at_the_start(dictionary, content, told):
    if content is not None:
        dictionary.write_bytes(content)
    with pytest.raises(TextError, match=told):
        VoiceEngine(Settings()).load()
