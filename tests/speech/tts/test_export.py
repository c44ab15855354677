"""The graph that TensorRT gets computes what PyTorch computes, run here by ONNX Runtime on the CPU."""

import numpy as np
import pytest
import torch

from speech.tts.export import export_onnx, input_names
from speech.tts.vocoder import context
from speech.tts.windows import Windows

onnx = pytest.importorskip("onnx", reason="the exporter's packages are in requirements-dev.txt")
ort = pytest.importorskip("onnxruntime")

ROWS = 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "vocoder",
    [
        "hifigan_v1_16k",
        # An export takes seconds; the other three run in the full suite.
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("hifigan_noncausal_v1_16k", "hifigan_noncausal_nsf_v1_16k", "hifigan_v1_nsf_24k")
        ),
    ],
    indirect=True,
)
def test_every_case_through_the_exported_graph(vocoder, tmp_path, difference):
    generator = vocoder.generator
    frames = sum(context(generator)) + 30
    file = tmp_path / "vocoder.onnx"
    export_onnx(generator, file, frames, ROWS)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = input_names(generator)
    assert [one.name for one in session.get_inputs()] == names
    # A static shape, and nothing random or cumulative: the source stays outside.
    assert all(isinstance(size, int) for one in session.get_inputs() for size in one.shape)
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert not kinds & {"RandomNormal", "RandomNormalLike", "RandomUniform", "CumSum", "ConvTranspose"}

    def runner(mel, excitation, inside):
        given = [mel, inside] if excitation is None else [mel, excitation, inside]
        made = session.run(None, {name: one.numpy() for name, one in zip(names, given, strict=True)})
        return torch.from_numpy(np.asarray(made[0]))

    with torch.inference_mode():
        sources = [vocoder.silent_source(key) for key in vocoder.keys] if vocoder.source else None
        waves = Windows(generator, frames, ROWS).run(runner, [vocoder.mel(key) for key in vocoder.keys], sources)
    for key, wave in zip(vocoder.keys, waves, strict=True):
        assert difference(wave, vocoder.wave(key)) < 1e-4, key
