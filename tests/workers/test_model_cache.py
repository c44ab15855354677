"""Models of a hub are looked for, and so kept, where `VOXQUEUE_MODEL_CACHE` says."""

import shutil

import numpy as np
import pytest

from jobs.settings import Settings
from speech.stt import Chunk, DecodeOptions
from speech.stt.chunks import Piece
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


def test_a_model_that_is_not_used_any_more_leaves_a_worker_that_is_busy_with_another_one(cache):
    shutil.copytree(RECOGNISER, cache / "stt" / "someone--model")
    engine = RecognizerEngine(Settings(stt_model="demo", device="cpu", idle_unload_seconds=60), threads=1)
    now = 1000.0
    engine.pool._clock = lambda: now
    audio = np.zeros(16_000, np.float32)
    options = DecodeOptions(language="zh", temperature=0.0)
    chunks = {name: Chunk(0, 0, (Piece(0, 16_000),), audio, options, model=name) for name in ("demo", "someone/model")}
    engine.run(list(chunks.values()))
    assert engine.report()["models"] == ["demo", "someone/model"]
    now += 61
    engine.run([chunks["demo"]])
    assert engine.report()["models"] == ["demo"]


def test_a_voice_that_was_pulled_is_found_there(cache):
    folder = shutil.copytree(VOICE, cache / "voices" / "someone" / "voice")
    (folder / ".voxqueue-complete").touch()
    assert resolve_voice("someone/voice").path == folder / "voices" / "demo"
