"""A voice folder speaks: what workers and users call."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from speech.errors import DeviceError, ModelError, TextError
from speech.tts import Line, Voice
from speech.tts.acoustic import load_acoustic

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "sambert-hifigan"
DEMO = ROOT / "models" / "demo" / "tts"


@pytest.fixture(scope="session")
def demo():
    return Voice.load(DEMO / "voices" / "demo")


@pytest.fixture(scope="session")
def lines():
    io = json.loads((FIXTURES / "sambert_plain_16k" / "am_io.json").read_text())
    return [one["symbols"] for one in io["utterances"]]


@pytest.fixture(scope="session")
def joined_voice(tmp_path_factory):
    """A voice folder made of the plain acoustic fixture and the non-causal vocoder fixture."""
    folder = tmp_path_factory.mktemp("voices") / "joined"
    shutil.copytree(FIXTURES / "sambert_plain_16k" / "am", folder / "am")
    shutil.copytree(FIXTURES / "hifigan_noncausal_v1_16k" / "voc", folder / "voc")
    return folder


def test_end_to_end_audio_is_the_originals(joined_voice, lines, difference):
    voice = Voice.load(joined_voice)
    arrays = np.load(FIXTURES / "hifigan_noncausal_v1_16k" / "voc_io.npz")
    spoken = voice.render([lines[4], lines[2], lines[0], lines[1]])
    assert difference(spoken[3].audio, arrays["v0_wav"].reshape(-1)) < 1e-4
    assert difference(spoken[1].audio, arrays["v5_wav"].reshape(-1)) < 1e-4


def test_audio_and_durations_agree(demo, lines):
    for line, spoken in zip(lines, demo.render(lines), strict=True):
        assert spoken.audio.dtype == np.float32
        assert spoken.durations.dtype == np.int32
        assert len(spoken.durations) == line.count("{")
        assert len(spoken.audio) == spoken.durations.sum() * spoken.hop_length
        assert spoken.sample_rate == demo.sample_rate == 16000
        assert 0.05 < np.abs(spoken.audio).max() <= 1.0


def test_a_batch_gives_what_its_rows_give_alone(demo, lines, difference):
    together = demo.synthesize_symbols(lines)
    backwards = demo.synthesize_symbols(lines[::-1])[::-1]
    for line, one, two in zip(lines, together, backwards, strict=True):
        alone = demo.synthesize_symbols([line])[0]
        assert difference(one, alone) < 1e-3
        assert difference(two, alone) < 1e-3


@pytest.mark.slow
def test_cores_side_by_side_give_what_one_gives(demo, lines, difference):
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        voice = Voice.load("demo")
    finally:
        torch.set_num_threads(usual)
    many = lines * (40 // len(lines) + 1)  # enough for a core to get rows of its own
    for one, other in zip(voice.render(many), demo.render(many), strict=True):
        assert (one.durations == other.durations).all()
        assert difference(one.audio, other.audio) < 1e-3
    with pytest.raises(TextError, match="line 1"):
        voice.render([lines[0], "{}"])


def test_the_seed_decides_the_noise_and_nothing_else_does(demo, lines, difference):
    first, second = Line(lines[1], seed=1), Line(lines[1], seed=2)
    a, b, c = (one.audio for one in demo.render([first, second, first]))
    assert difference(a, c) < 1e-4
    assert difference(a, b) > 100 * difference(a, c)


def test_acoustic_then_vocode_is_synthesis(joined_voice, lines, difference):
    voice = Voice.load(joined_voice)
    mels = voice.acoustic(lines[:3])
    assert [mel.shape[1] for mel in mels] == [80] * 3
    for one, two in zip(voice.vocode(mels), voice.synthesize_symbols(lines[:3]), strict=True):
        assert difference(one, two) < 1e-5


def test_half_a_voice_loads_and_says_what_it_lacks(tmp_path, lines, difference):
    shutil.copytree(FIXTURES / "sambert_plain_16k" / "am", tmp_path / "speaks" / "am")
    shutil.copytree(FIXTURES / "hifigan_v1_16k" / "voc", tmp_path / "sounds" / "voc")
    speaks, sounds = Voice.load(tmp_path / "speaks"), Voice.load(tmp_path / "sounds")
    arrays = np.load(FIXTURES / "hifigan_v1_16k" / "voc_io.npz")
    assert speaks.sample_rate == sounds.sample_rate == 16000
    assert difference(sounds.vocode(speaks.acoustic([lines[1]]))[0], arrays["v0_wav"].reshape(-1)) < 1e-4
    with pytest.raises(ModelError, match="no voc/ folder"):
        speaks.render(lines)
    with pytest.raises(ModelError, match="no am/ folder"):
        sounds.acoustic(lines)


def test_an_nsf_vocoder_takes_f0_in_hertz(tmp_path, difference):
    shutil.copytree(FIXTURES / "hifigan_noncausal_nsf_v1_16k" / "voc", tmp_path / "voc")
    arrays = np.load(FIXTURES / "hifigan_noncausal_nsf_v1_16k" / "voc_io.npz")
    seeds = [
        case["rng_seed"]
        for case in json.loads((FIXTURES / "hifigan_noncausal_nsf_v1_16k" / "voc_io.json").read_text())["cases"]
    ]
    made = Voice.load(tmp_path).vocode([arrays[f"v{n}_mel"] for n in range(5)], seeds=seeds)
    for number, wave in enumerate(made):
        assert difference(wave, arrays[f"v{number}_wav"].reshape(-1)) < 1e-4


def test_empty_mels_and_empty_batches(joined_voice):
    voice = Voice.load(joined_voice)
    assert voice.render([]) == []
    short = voice.vocode([np.zeros((0, 80), np.float32), np.zeros((1, 80), np.float32)])
    assert [len(wave) for wave in short] == [0, 200]


def test_a_line_whose_durations_are_all_zero_gives_empty_audio(joined_voice, lines):
    voice = Voice.load(joined_voice)
    silent = load_acoustic(joined_voice / "am")
    silent.adaptor.duration_predictor.fc.bias.fill_(-100.0)
    voice._acoustic = silent
    spoken = voice.render(lines[:2])
    assert [len(one.audio) for one in spoken] == [0, 0]


def test_a_mel_of_another_width_is_refused(joined_voice):
    with pytest.raises(ModelError, match=r"wants \[frames, 80\]"):
        Voice.load(joined_voice).vocode([np.zeros((5, 82), np.float32)])


def test_two_halves_of_different_voices_are_refused(tmp_path):
    shutil.copytree(FIXTURES / "sambert_plain_16k" / "am", tmp_path / "am")
    shutil.copytree(FIXTURES / "hifigan_noncausal_nsf_v1_16k" / "voc", tmp_path / "voc")
    with pytest.raises(ModelError, match="not of one voice"):
        Voice.load(tmp_path)


def test_a_bad_line_is_named_by_its_number(demo, lines):
    with pytest.raises(TextError, match=r"line 1: symbol 1: 'q_q' is not in the sy dictionary"):
        demo.render([lines[0], lines[0].replace("w_c", "q_q")])
    with pytest.raises(TextError, match=r"line 0: speed 9 is not in 0\.25\.\.4\.0"):
        demo.render([Line(lines[0], speed=9)])


def test_estimates_grow_with_the_line_and_its_slowness(demo, lines):
    short, long = demo.frames(lines[0]), demo.frames(lines[4])
    assert 0 < short < long
    assert demo.frames(Line(lines[4], speed=0.5)) == pytest.approx(2 * long, abs=1)
    spoken = demo.render([lines[4]])[0]
    assert 0.3 < long / spoken.durations.sum() < 3


def test_what_a_voice_says_of_itself(demo):
    assert demo.name == "demo"
    assert demo.speakers == ["F7", "M7"]
    assert "neutral" in demo.emotions
    assert "happy" in demo.emotions
    report = demo.report()
    assert report["device"] == "cpu"
    assert report["engine"] == "torch"
    assert report["precision"] == "float32"
    assert report["parameters"] > 2_000_000
    assert json.loads(json.dumps(report)) == report


def test_bfloat16_is_near_float32(demo, lines):
    usual = demo.synthesize_symbols(lines)
    rough = Voice.load("demo", precision="bfloat16").synthesize_symbols(lines)
    for one, two in zip(usual, rough, strict=True):
        assert len(one) == len(two)
        assert 10 * np.log10((one**2).sum() / ((one - two) ** 2).sum()) > 30


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"precision": "float16"}, "float16 needs a GPU"),
        ({"precision": "int4"}, "precision 'int4' is not known"),
        ({"vocoder": "onnx"}, "vocoder 'onnx' is not known"),
        ({"vocoder": "tensorrt"}, "needs a GPU"),
        ({"device": "tpu"}, "device 'tpu' is not known"),
    ],
)
def test_what_cannot_be_had_is_refused(options, reason):
    with pytest.raises(DeviceError, match=reason):
        Voice.load("demo", **options)


@pytest.mark.slow
def test_texts_are_spoken_through_the_front_end(demo):
    first, second = demo.synthesize(["今天天气怎么样？", "你好。我们去公园。"])
    assert len(first) > 8000
    assert len(second) > 8000
    with pytest.raises(TextError, match="text 2 of 2"):
        demo.synthesize(["你好。", "…"])


def test_utterances_come_one_by_one_in_order_and_the_voice_may_speak_between_them(demo, lines):
    wanted = demo.render(lines)
    found = []
    for number, utterance in demo.render_each(lines):
        found.append(number)
        assert np.array_equal(utterance.audio, wanted[number].audio)
        if number == 1:
            between = demo.render(lines[:2])
            assert np.array_equal(between[0].audio, demo.render(lines[:1])[0].audio)
    assert found == list(range(len(lines)))
