"""What a worker offers of a folder in the layout of the published models is what `GET /v1/voices` lists."""

import json
import shutil
from pathlib import Path

import pytest

from jobs.settings import Settings
from workers.catalogue import VoiceEntry
from workers.voices import VoiceEngine

FIXTURES = Path(__file__).parents[1] / "fixtures" / "sambert-hifigan"


@pytest.fixture
def model(tmp_path):
    """Two voices of one model, as the hub has them."""
    for name, acoustic in (("zhitian_emo", "sambert_multisp_emo_16k"), ("zhiyan_emo", "sambert_plain_16k")):
        shutil.copytree(FIXTURES / acoustic / "am", tmp_path / "voices" / name / "am")
        shutil.copytree(FIXTURES / "hifigan_v1_16k" / "voc", tmp_path / "voices" / name / "voc")
    (tmp_path / "voices" / "voices.json").write_text(json.dumps({"voices": ["zhitian_emo", "zhiyan_emo"]}))
    configuration = {"model": {"type": "sambert-hifigan", "sample_rate": 16000}}
    (tmp_path / "configuration.json").write_text(json.dumps(configuration))
    return tmp_path


def test_every_voice_of_a_folder_is_offered_with_speakers_emotions_and_rate(model):
    engine = VoiceEngine(Settings(tts_voice=str(model), device="cpu"))
    engine.load()
    kind, offered = engine.offers()
    assert kind == "voices"
    assert list(offered) == ["zhitian_emo", "zhiyan_emo"]
    assert [one["default"] for one in offered.values()] == [True, False]
    first = offered["zhitian_emo"]
    assert first["sample_rate"] == 16000
    assert len(first["speakers"]) == 6
    assert {"neutral", "happy", "sad"} <= set(first["emotions"])
    assert first["model"] == str(model)
    assert isinstance(engine.entries["zhiyan_emo"], VoiceEntry)
