"""On a GPU: the decoder's graphs, windows and engines give what the CPU gives. Skipped loudly without one."""

import pytest
import torch

from speech.tts import Voice
from speech.tts.acoustic import PADDED
from speech.tts.graphs import GraphedSource

pytestmark = pytest.mark.gpu

LINE = (
    "{n_c$tone3$s_begin$word_begin$emotion_neutral$F7} {i_c$tone3$s_end$word_middle$emotion_neutral$F7} "
    "{h_c$tone3$s_begin$word_middle$emotion_neutral$F7} {ao_c$tone3$s_end$word_end$emotion_neutral$F7} "
    "{#4$tone_none$s_none$word_none$emotion_none$F7}"
)


@pytest.fixture(scope="module", autouse=True)
def cuda():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: graphs, GPU windows and engines are NOT tested here")


def test_graphs_decode_what_the_cpu_decodes(acoustic, difference):
    from speech.tts.acoustic import load_acoustic

    model = load_acoustic(acoustic.model.config.file.parent).to("cuda")
    model.buffer_source = GraphedSource()
    model.together = PADDED
    inputs = acoustic.inputs()
    for slots in (1, 2, 8):
        for number, spoken in enumerate(model(inputs, slots)):
            assert difference(spoken.mel.cpu(), acoustic.array(number, "post_mel")) < 1e-3


def test_graphs_are_given_back(acoustic_named):
    from speech.tts.acoustic import load_acoustic

    case = acoustic_named("sambert_plain_16k")
    model = load_acoustic(case.model.config.file.parent).to("cuda")
    model.buffer_source = GraphedSource()
    model.together = PADDED
    model(case.inputs(), 8)
    torch.cuda.empty_cache()
    kept = torch.cuda.memory_reserved()
    model.buffer_source.trim()
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() < kept


def test_the_demo_voice_speaks_alike():
    lines = [" ".join([LINE] * times) for times in (1, 5, 2)]
    usual, fast = Voice.load("demo"), Voice.load("demo", device="cuda", precision="float16")
    for one, two in zip(usual.render(lines), fast.render(lines), strict=True):
        assert one.durations.tolist() == two.durations.tolist()
        assert len(one.audio) == len(two.audio)


def test_the_engine_is_built_verified_and_found_again(tmp_path, monkeypatch):
    pytest.importorskip("tensorrt")
    pytest.importorskip("torch2trt")
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path))
    for _ in range(2):
        voice = Voice.load("demo", device="cuda", precision="float16", vocoder="tensorrt")
        assert voice.report()["engine"] == "tensorrt"
    assert len(list((tmp_path / "engines").glob("*.engine"))) == 1
    assert len(voice.render([LINE])[0].audio)
