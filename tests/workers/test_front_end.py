"""Which front end a worker reads with. The closed package cannot be had: a small module with its calls stands in."""

from __future__ import annotations

import json
import sys

import pytest

from jobs.settings import Settings, settings
from speech.errors import ModelError
from speech.text import FrontEnd
from speech.text.check import spoken_form
from speech.text.closed import ClosedFrontEnd, is_available
from workers.chapters import _front_end as chapters_front_end
from workers.voices import VoiceEngine, front_end

pytestmark = pytest.mark.skipif(is_available(), reason="the closed package is installed here")

# The four calls of the closed package that the voices' own pipeline makes; it reads everything as 北.
MODULE = """
class TtsFrontendEngine:
    def initialize(self, folder):
        self.folder = folder
        return not folder.endswith("refused")

    def set_lang_type(self, language):
        return language == "zh-cn" and not self.folder.endswith("foreign")

    def gen_tacotron_symbols(self, text):
        assert self.folder
        return (
            "0\\t{b_c$tone3$s_begin$word_begin$emotion_neutral$F7} {ei_c$tone3$s_end$word_end$emotion_neutral$F7} "
            "{#4$tone_none$s_none$word_none$emotion_none$F7}\\n"
        )
"""


@pytest.fixture
def choose(monkeypatch):
    """Set variables and return the front end that a fresh process would have."""

    def chosen(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"VOXQUEUE_{name.upper()}", str(value))
        for cached in (settings, front_end, chapters_front_end):
            cached.cache_clear()
        return front_end()

    yield chosen
    sys.modules.pop("ttsfrd", None)
    for cached in (settings, front_end, chapters_front_end):
        cached.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The stand-in on the path, and the resource folder of a voice model."""
    (tmp_path / "ttsfrd.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "model" / "resource").mkdir(parents=True)
    return tmp_path / "model"


def test_our_own_unless_told(choose, package):
    assert Settings.model_fields["tts_front_end"].default == "own"
    assert isinstance(choose(), FrontEnd)
    assert isinstance(choose(tts_front_end="own"), FrontEnd)


def test_the_closed_one_is_refused_with_the_cure_where_it_is_not_installed(choose):
    with pytest.raises(ModelError, match=r"asked for and cannot be imported.*install.*or set the front end to own"):
        choose(tts_front_end="ttsfrd")
    assert isinstance(choose(tts_front_end="auto"), FrontEnd)


def test_the_worker_does_not_start_without_what_was_asked_for(choose):
    with pytest.raises(ModelError, match="ttsfrd"):
        choose(tts_front_end="ttsfrd")
    with pytest.raises(ModelError, match="ttsfrd"):
        VoiceEngine(settings()).load()


@pytest.mark.parametrize("kind", ["ttsfrd", "auto"])
def test_the_closed_one_reads_the_texts_when_it_is_there(choose, package, kind):
    chosen = choose(tts_front_end=kind, tts_front_end_resource=package / "resource")
    assert isinstance(chosen, ClosedFrontEnd)
    (sentence,) = chosen.plain("南。")
    assert (sentence.text, spoken_form(sentence.symbols)) == ("南。", "bei3")


def test_the_folder_is_that_of_the_voice_model(choose, package):
    assert isinstance(choose(tts_front_end="ttsfrd", tts_voice=package), ClosedFrontEnd)
    (package / "resource").rmdir()
    with pytest.raises(ModelError, match=r"model/resource: .*unpack resource\.zip"):
        choose(tts_front_end="ttsfrd", tts_voice=package)
    assert isinstance(choose(tts_front_end="auto", tts_voice=package), FrontEnd)


def test_a_folder_that_the_package_refuses_is_named(choose, package):
    for name, reason in (("refused", "ttsfrd refuses this folder"), ("foreign", "does not read the language PinYin")):
        (package / name).mkdir()
        with pytest.raises(ModelError, match=f"{name}: (ttsfrd )?{reason}"):
            choose(tts_front_end="ttsfrd", tts_front_end_resource=package / name)


def test_a_package_made_for_another_python_says_what_it_lacks(choose, package):
    (package.parent / "ttsfrd.py").write_text("raise ImportError('libttsfrd.so: wrong ELF class')", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cannot be imported \(libttsfrd\.so: wrong ELF class\)"):
        choose(tts_front_end="ttsfrd", tts_front_end_resource=package / "resource")


def test_a_dictionary_is_not_dropped_silently(choose, package, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("仇英 qiu2 ying1\n", encoding="utf-8")
    wanted = {"tts_front_end_resource": package / "resource", "tts_dictionary": words}
    with pytest.raises(ModelError, match=r"ttsfrd reads no dictionary.*VOXQUEUE_TTS_FRONT_END=own"):
        choose(tts_front_end="ttsfrd", **wanted)
    assert isinstance(choose(tts_front_end="auto", **wanted), FrontEnd)


def test_a_books_dictionary_is_not_dropped_silently(choose, package):
    choose(tts_front_end="ttsfrd", tts_front_end_resource=package / "resource")
    (sentence,) = chapters_front_end(json.dumps({"行长": "hang2 zhang3"}).encode()).plain("行长。")
    assert sentence.warnings == ("the words of a dictionary are not used by the closed front end",)
    assert front_end().plain("行长。")[0].warnings == ()


def test_kept_results_depend_on_the_front_end(choose, package):
    own = choose().readings
    closed = choose(tts_front_end="ttsfrd", tts_front_end_resource=package / "resource").readings
    assert own != closed
    assert VoiceEngine(settings()).identity()["readings"] == closed
