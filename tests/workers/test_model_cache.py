"""Models of a hub are looked for, and so kept, where `VOXQUEUE_MODEL_CACHE` says."""

import shutil

import pytest

from jobs.settings import Settings
from speech.stt.hub import DEMO as RECOGNISER
from speech.tts.hub import DEMO as VOICE
from speech.tts.hub import resolve_voice
from workers.recognizers import RecognizerEngine


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("VOXQUEUE_CACHE_DIR", raising=False)
    monkeypatch.setenv("VOXQUEUE_MODEL_CACHE", str(tmp_path))
    return tmp_path


def test_a_recogniser_that_was_pulled_is_loaded_from_there(cache):
    shutil.copytree(RECOGNISER, cache / "stt" / "someone--model")
    engine = RecognizerEngine(Settings(stt_model="someone/model", device="cpu"), threads=1)
    engine.load()
    assert engine.report()["models"] == ["someone/model"]


def test_a_voice_that_was_pulled_is_found_there(cache):
    folder = shutil.copytree(VOICE, cache / "voices" / "someone" / "voice")
    (folder / ".voxqueue-complete").touch()
    assert resolve_voice("someone/voice").path == folder / "voices" / "demo"
