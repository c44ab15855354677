"""Devices are what was asked for, or an error that says what to do."""

import os
import pickle

import pytest
import torch

from speech.device import cap_threads, cpu_has_bfloat16, resolve_device
from speech.errors import AudioError, DeviceError, ModelError, SpeechError, TextError


def test_the_cpu_has_a_name():
    device = resolve_device("cpu")
    assert (device.kind, device.index, device.torch_name) == ("cpu", 0, "cpu")
    assert device.name


def test_bfloat16_is_looked_up_among_the_processors_features(monkeypatch):
    for line, wanted in (("flags : fpu avx512_bf16 avx", True), ("Features : bf16", True), ("flags : fpu avx", False)):
        monkeypatch.setattr("pathlib.Path.read_text", lambda *_, line=line, **__: f"model name : A\n{line}\n")
        assert cpu_has_bfloat16() is wanted


def test_auto_takes_what_there_is():
    assert resolve_device("auto").kind == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("wanted", ["gpu", "", "cuda:x", "cpu:1", "auto:0"])
def test_unknown_names_are_refused(wanted):
    with pytest.raises(DeviceError, match="use auto, cpu, cuda or cuda:N"):
        resolve_device(wanted)


def test_cuda_is_never_replaced_silently():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(DeviceError, match=r"nvidia-smi") as caught:
        resolve_device("cuda")
    assert caught.value.code == "no_cuda"


def test_threads_are_capped_for_loaded_and_later_libraries(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = torch.get_num_threads()
    try:
        cap_threads(1)
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    with pytest.raises(DeviceError, match="at least 1"):
        cap_threads(0)


@pytest.mark.parametrize("kind", [SpeechError, ModelError, DeviceError, TextError, AudioError])
def test_errors_keep_code_and_detail_across_processes(kind):
    error = pickle.loads(pickle.dumps(kind("what is wrong", code="a_code")))
    assert type(error) is kind
    assert (error.code, error.detail, str(error)) == ("a_code", "what is wrong", "what is wrong")
    assert kind("x").code == kind.default_code
