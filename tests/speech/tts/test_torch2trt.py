"""What torch2trt hands to TensorRT, as far as a machine without a GPU can go.

The real package imports TensorRT, which needs a GPU's driver. A module that calls the exporter as its last commit does
stands in: a list of the tensors as the one argument, axes that vary although none does, a stream. Its engine is the
graph that TensorRT would have built from, run here by ONNX Runtime.
"""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from speech.errors import DeviceError
from speech.tts.engines import EngineError
from speech.tts.export import input_names, trial_inputs
from speech.tts.tensorrt import build_here

onnx = pytest.importorskip("onnx", reason="the exporter's packages are in requirements-dev.txt")
ort = pytest.importorskip("onnxruntime")

TENSORRT = """
__version__ = "10.16.1.11"


class MemoryPoolType:
    WORKSPACE = "workspace"


class Config:
    def __init__(self):
        self.limits = {}

    def set_memory_pool_limit(self, pool, pool_size):
        self.limits[pool] = pool_size


class Builder:
    def create_builder_config(self):
        return Config()
"""
TORCH2TRT = """
import io
import tensorrt
import torch


class Flat(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args):
        (tensors,) = args
        return [self.module(*tensors)]


class Memory:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return self.content


class Made:
    engine = None


VARYING = {}
CONFIGS = []


def torch2trt(module, inputs, input_names=None, output_names=None, fp16_mode=False, use_onnx=False):
    assert use_onnx and fp16_mode and not module.training
    module(*inputs)
    CONFIGS.append(tensorrt.Builder().create_builder_config())
    stream = io.BytesIO()
    torch.onnx.export(
        Flat(module), list(inputs), stream, input_names=input_names, output_names=output_names,
        dynamic_axes={name: dict(VARYING) for name in input_names}, opset_version=None,
    )
    made = Made()
    made.engine = Memory(stream.getvalue())
    return made
"""


WORKSPACE = 3 * 2**30


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """TensorRT's version, what it lets torch2trt set up, and torch2trt's call."""
    for name, content in (("tensorrt", TENSORRT), ("torch2trt", TORCH2TRT)):
        file = tmp_path / f"{name}.py"
        file.write_text(content, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    "vocoder",
    ["hifigan_v1_16k", "hifigan_noncausal_v1_16k", "hifigan_noncausal_nsf_v1_16k", "hifigan_v1_nsf_24k"],
    indirect=True,
)
def test_the_graph_torch2trt_gets_computes_what_pytorch_does(packages, vocoder):
    generator, frames, rows = vocoder.generator, 80, 2
    usual = torch.onnx.export, packages.tensorrt.Builder.create_builder_config
    graph = build_here(generator, "float16", frames, rows, WORKSPACE)
    assert (torch.onnx.export, packages.tensorrt.Builder.create_builder_config) == usual
    [config] = packages.CONFIGS
    assert config.limits == {"workspace": WORKSPACE}, "torch2trt tells TensorRT 10 nothing: it would be the whole GPU"
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names, inputs = input_names(generator), trial_inputs(generator, frames, rows)
    assert [one.name for one in session.get_inputs()] == names
    assert [list(one.shape) for one in session.get_inputs()] == [list(one.shape) for one in inputs]
    (made,) = session.run(None, {name: one.numpy() for name, one in zip(names, inputs, strict=True)})
    with torch.inference_mode():
        wanted = generator(inputs[0], inputs[1] if len(inputs) == 3 else None, inputs[-1])
    assert np.abs(made - wanted.numpy()).max() < 1e-4


def test_axes_that_vary_are_no_windows(packages, vocoder_named, monkeypatch):
    usual = torch.onnx.export
    monkeypatch.setattr(packages, "VARYING", {0: "rows"})
    with pytest.raises(EngineError, match=r"one static shape.*'rows'"):
        build_here(vocoder_named("hifigan_v1_16k").generator, "float16", 80, 2, WORKSPACE)
    assert torch.onnx.export is usual


def test_no_engine_is_an_error(packages, vocoder_named, monkeypatch):
    monkeypatch.setattr(packages, "torch2trt", lambda *_, **__: packages.Made())
    with pytest.raises(EngineError, match="could not build an engine"):
        build_here(vocoder_named("hifigan_v1_16k").generator, "float16", 80, 2, WORKSPACE)


def test_a_missing_torch2trt_says_what_to_install(packages, vocoder_named, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch2trt", None)
    with pytest.raises(DeviceError, match=r"torch2trt is not installed.*make install-gpu"):
        build_here(vocoder_named("hifigan_v1_16k").generator, "float16", 80, 2, WORKSPACE)
