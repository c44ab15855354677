"""The operator's dictionary of readings: used for every text, and refused at the start if it is wrong."""

import pytest

from jobs.settings import Settings, settings
from speech.errors import TextError
from workers.voices import VoiceEngine, front_end


@pytest.fixture
def dictionary(tmp_path, monkeypatch):
    file = tmp_path / "words.txt"
    monkeypatch.setenv("VOXQUEUE_TTS_DICTIONARY", str(file))
    for cached in (settings, front_end):
        cached.cache_clear()
    yield file
    for cached in (settings, front_end):
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


@pytest.mark.parametrize(("content", "said"), [("行长 xing9\n", "line 1 of words.txt"), (None, "cannot be read")])
def test_a_wrong_or_missing_file_is_refused_at_the_start(dictionary, content, said):
    if content is not None:
        dictionary.write_text(content, encoding="utf-8")
    with pytest.raises(TextError, match=said):
        VoiceEngine(Settings()).load()
