"""Engine files are used only for what they were made for; a missing library is named; falling back is never silent."""

import json
import logging
import os
import re
import select
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.device import Device
from speech.errors import DeviceError
from speech.tts import tensorrt, vocoding
from speech.tts.checkpoint import NetworkFiles
from speech.tts.engines import EngineError, EngineKey, list_engines, read_engine, weights_hash, write_engine
from speech.tts.tensorrt import import_tensorrt, verify
from speech.tts.vocoder import load_vocoder
from tests.conftest import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
KEY = EngineKey("w" * 64, "10.16.1", "NVIDIA A10", "8.6", "float16", 464, 16)
GPU = Device("cuda", 0, "NVIDIA A10")


def test_an_engine_comes_back_as_it_was_written(tmp_path):
    file = KEY.file_in(tmp_path / "engines")
    write_engine(file, KEY, b"\x00\nengine\xff" * 99)
    assert read_engine(file, KEY) == b"\x00\nengine\xff" * 99
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("weights", "v" * 64),
        ("tensorrt", "10.9.0"),
        ("gpu", "NVIDIA H200"),
        ("capability", "9.0"),
        ("precision", "float32"),
        ("frames", 232),
        ("rows", 8),
        ("graph", 0),
    ],
)
def test_every_field_of_the_key_counts(tmp_path, field, other):
    changed = replace(KEY, **{field: other})
    assert changed.digest() != KEY.digest()
    file = KEY.file_in(tmp_path)
    write_engine(file, changed, b"engine")
    with pytest.raises(EngineError, match=f"{field} is {other!r}, wanted") as caught:
        read_engine(file, KEY)
    assert caught.value.code == "stale_engine"


def test_a_missing_engine_says_so(tmp_path):
    with pytest.raises(EngineError, match="not built yet"):
        read_engine(KEY.file_in(tmp_path), KEY)


@given(place=st.integers(0, 400), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_no_changed_byte_goes_unnoticed(tmp_path_factory, place, byte):
    file = KEY.file_in(tmp_path_factory.mktemp("cache"))
    write_engine(file, KEY, b"engine" * 20)
    content = bytearray(file.read_bytes())
    place %= len(content)
    if content[place] == byte:
        return
    before = json.loads(content.split(b"\n", 1)[0])
    content[place] = byte
    file.write_bytes(bytes(content))
    try:
        engine = read_engine(file, KEY)
    except EngineError:
        return
    # White space in the header may change without harm, and a key that JSON reads alike.
    assert engine == b"engine" * 20
    assert json.loads(bytes(content).split(b"\n", 1)[0]) == before


def test_a_cut_off_engine_is_refused(tmp_path):
    file = KEY.file_in(tmp_path)
    write_engine(file, KEY, b"engine" * 20)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(EngineError, match="corrupt"):
        read_engine(file, KEY)


def test_the_list_shows_good_and_bad_ones(tmp_path):
    write_engine(KEY.file_in(tmp_path), KEY, b"engine")
    (tmp_path / "zzz.engine").write_bytes(b"no header\n")
    good, bad = sorted(list_engines(tmp_path), key=lambda one: "problem" in one)
    assert {name: good[name] for name in asdict(KEY)} == asdict(KEY)
    assert "corrupt" in bad["problem"]


def test_the_hash_is_of_weights_and_structure_not_of_the_place(vocoder_fixture_copy, vocoder_named):
    folder, checkpoint, save = vocoder_fixture_copy
    usual = vocoder_named("hifigan_noncausal_v1_16k").generator
    assert weights_hash(load_vocoder(folder)[0]) == weights_hash(usual)
    assert weights_hash(vocoder_named("hifigan_v1_16k").generator) != weights_hash(usual)
    checkpoint["model"]["generator"]["conv_post.conv1d.bias"] += 1e-3
    save(checkpoint)
    assert weights_hash(load_vocoder(folder)[0]) != weights_hash(usual)


@pytest.mark.parametrize("vocoder", ["hifigan_noncausal_nsf_v1_16k", "hifigan_v1_16k"], indirect=True)
def test_a_runner_is_compared_with_pytorch(vocoder):
    generator = vocoder.generator

    def with_noise(level):
        def runner(mel, excitation, inside):
            made = generator(mel, excitation, inside)
            return made + level * made.std() * torch.randn(made.shape, generator=torch.Generator().manual_seed(1))

        return runner

    assert verify(generator, generator, 40, 2) > 90
    assert verify(generator, with_noise(0.01), 40, 2) == pytest.approx(40, abs=6)
    with pytest.raises(EngineError, match="dB from PyTorch"):
        verify(generator, with_noise(0.3), 40, 2)
    with pytest.raises(EngineError, match="not finite"):
        verify(generator, lambda *inputs: generator(*inputs) * torch.nan, 40, 2)
    with pytest.raises(EngineError, match="samples"):
        verify(generator, lambda *inputs: generator(*inputs)[:, 1:], 40, 2)


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DeviceError, match=r"TensorRT is not installed.*requirements-gpu\.txt"):
        import_tensorrt()


def test_a_version_that_torch2trt_cannot_use_is_refused(monkeypatch):
    module = type(sys)("tensorrt")
    module.__version__ = "11.0.0"
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    with pytest.raises(DeviceError, match=r"TensorRT 11\.0\.0 is installed, torch2trt works with 10\.x"):
        import_tensorrt()


def test_strict_refuses_and_auto_falls_back_with_a_reason(monkeypatch, caplog, vocoder_named, tmp_path):
    generator = vocoder_named("hifigan_v1_16k").generator
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DeviceError, match="TensorRT is not installed"):
        vocoding._tensorrt(generator, NetworkFiles.of(tmp_path), GPU, "float16", strict=True)
    with caplog.at_level(logging.WARNING):
        runner, note = vocoding._tensorrt(generator, NetworkFiles.of(tmp_path), GPU, "float16", strict=False)
    assert runner is None
    assert "TensorRT is not installed" in note
    assert "PyTorch is" in caplog.text


UNFORESEEN = [
    NotADirectoryError(20, "Not a directory", "/cache/engines"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError("CUDA error: out of memory\nCompile with ..."),
    RuntimeError("pybind: unable to load the plug-in\nin detail"),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda one: type(one).__name__)
def test_auto_falls_back_whatever_tensorrt_fails_by(monkeypatch, caplog, vocoder_named, tmp_path, error):
    """Strict raises it as it is: a worker that ended by it, again and again, would speak nothing."""

    def fail(*_):
        raise error

    monkeypatch.setattr(tensorrt, "tensorrt_runner", fail)
    generator = vocoder_named("hifigan_v1_16k").generator
    with pytest.raises(type(error)):
        vocoding._tensorrt(generator, NetworkFiles.of(tmp_path), GPU, "float16", strict=True)
    runner, note = vocoding._tensorrt(generator, NetworkFiles.of(tmp_path), GPU, "float16", strict=False)
    assert runner is None
    assert note == f"{type(error).__name__}: {error}".splitlines()[0]
    [record] = caplog.records
    assert record.exc_info is not None, "nobody foresaw it: where it came from is in the log"


def test_after_a_cuda_error_there_is_no_falling_back(monkeypatch, vocoder_named, tmp_path):
    """PyTorch would work on the same lost context."""

    def fail(*_):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(tensorrt, "tensorrt_runner", fail)
    with pytest.raises(torch.AcceleratorError):
        vocoding._tensorrt(
            vocoder_named("hifigan_v1_16k").generator, NetworkFiles.of(tmp_path), GPU, "float16", strict=False
        )


def test_an_engine_for_a_precision_it_cannot_have_is_refused(vocoder_named):
    with pytest.raises(DeviceError, match="float32 or float16, not bfloat16"):
        tensorrt.engine_key(vocoder_named("hifigan_v1_16k").generator, GPU, "bfloat16", 464, 16)


@pytest.fixture
def share(monkeypatch):
    """PyTorch is asked for its share of the GPU, which there need not be."""
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 0.5)


@pytest.mark.slow
def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path, vocoder_named, share):
    files = NetworkFiles.of(vocoder_named("hifigan_v1_16k").generator.config.file.parent)
    file = KEY.file_in(tmp_path)
    # What a builder that was killed has left.
    file.with_suffix(".building").mkdir()
    file.with_suffix(".building").joinpath("engine").write_bytes(b"half")
    file.with_name(f"{file.name}.4711.part").write_bytes(b"half")
    # A real child process: on a machine without a GPU it ends with the strict device's message.
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device: the build would succeed")
    with pytest.raises(EngineError, match=r"failed \(exit 1\): device 'cuda:0' was asked for"):
        tensorrt.build(files, file, KEY, GPU)
    assert list(tmp_path.iterdir()) == []


HANGING = """
import os, time
import speech.device

def hang(_):
    print("hanging", os.getpid(), flush=True)
    time.sleep(60)

speech.device.resolve_device = hang
"""
"""What Python runs at its start: a build that hangs."""
PARENT = """
import logging, sys
from pathlib import Path
import torch
from speech.device import Device
from speech.tts.checkpoint import NetworkFiles
from speech.tts.engines import EngineKey
from speech.tts.tensorrt import build

torch.cuda.get_per_process_memory_fraction = lambda _: 0.5
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
key = EngineKey("w", "10.16.1", "NVIDIA A10", "8.6", "float16", 464, 16)
build(NetworkFiles.of(Path(sys.argv[1])), Path(sys.argv[2]), key, Device("cuda", 0, "NVIDIA A10"))
"""


@pytest.fixture
def hanging(monkeypatch, tmp_path):
    """Let every build of this test hang."""
    (tmp_path / "sitecustomize.py").write_text(HANGING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(tmp_path)]))


@pytest.mark.slow
def test_a_build_ends_with_the_worker_that_wants_it(hanging, tmp_path, vocoder_named):
    """The worker's lock is free when it is gone: another one would build beside the child."""
    folder = vocoder_named("hifigan_v1_16k").generator.config.file.parent
    command = [sys.executable, "-c", PARENT, str(folder), str(tmp_path / "x.engine")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        said = next(line for line in parent.stdout if "hanging" in line)
        child = os.pidfd_open(int(said.split()[-1]))
        parent.kill()
    ended, _, _ = select.select([child], [], [], PATIENCE)
    os.close(child)
    assert ended


@pytest.mark.slow
def test_a_build_is_given_up_in_the_end(hanging, share, monkeypatch, tmp_path, vocoder_named):
    files = NetworkFiles.of(vocoder_named("hifigan_v1_16k").generator.config.file.parent)
    monkeypatch.setattr(tensorrt, "BUILD_SECONDS", 1)
    with pytest.raises(EngineError, match="given up after 1 s: hanging"):
        tensorrt.build(files, KEY.file_in(tmp_path), KEY, GPU)


def _corrupt(file):
    write_engine(file, KEY, b"engine" * 20)
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="with a CUDA device the engine would be built")
@pytest.mark.parametrize(
    ("strict", "spoil", "reason"),
    [
        (True, _corrupt, "is corrupt"),
        (False, lambda file: write_engine(file, replace(KEY, gpu="NVIDIA H200"), b"engine"), "gpu is 'NVIDIA H200',"),
        (True, lambda file: write_engine(file, replace(KEY, weights="v" * 64), b"engine"), "weights is 'vvv"),
    ],
    ids=["corrupt", "foreign", "stale"],
)
def test_an_engine_that_cannot_be_used_is_built_anew_or_refused(
    monkeypatch, caplog, vocoder_named, tmp_path, share, strict, spoil, reason
):
    """The build is a real child process, which fails here for want of a GPU: strict refuses, auto takes PyTorch."""
    generator = vocoder_named("hifigan_v1_16k").generator
    files = NetworkFiles.of(generator.config.file.parent)
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path))
    # The key asks the GPU for its capability.
    monkeypatch.setattr(tensorrt, "engine_key", lambda *_: KEY)
    spoil(KEY.file_in(tmp_path / "engines"))
    caplog.set_level(logging.INFO)
    failed = r"building the engine .* failed \(exit 1\)"
    if strict:
        with pytest.raises(EngineError, match=failed):
            vocoding._tensorrt(generator, files, GPU, "float16", strict=True)
    else:
        runner, note = vocoding._tensorrt(generator, files, GPU, "float16", strict=False)
        assert runner is None
        assert re.match(failed, note)
    assert any(reason in line and "building it" in line for line in caplog.messages)
