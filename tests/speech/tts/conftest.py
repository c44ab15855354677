"""Reference arrays made by running the original networks, and the models that must reproduce them."""

import functools
import importlib.util
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speech.tts.acoustic import PADDED, AcousticInput, Sambert, load_acoustic
from speech.tts.vocoder import load_vocoder

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "sambert-hifigan"
DEMO = Path(__file__).resolve().parents[3] / "models" / "demo" / "tts"
ACOUSTIC = sorted(folder.name for folder in FIXTURES.glob("sambert_*"))
VOCODERS = sorted(folder.name for folder in FIXTURES.glob("hifigan_*"))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """These networks are tiny: a second thread only waits for the first."""
    torch.set_num_threads(1)


@dataclass(frozen=True)
class AcousticCase:
    name: str
    model: Sambert
    lines: list[str]
    arrays: Any

    def inputs(self) -> list[AcousticInput]:
        return [AcousticInput(self.model.symbols.encode(line)) for line in self.lines]

    def array(self, number: int, key: str) -> np.ndarray:
        return self.arrays[f"u{number}_{key}"]

    def has(self, number: int, key: str) -> bool:
        return f"u{number}_{key}" in self.arrays


@functools.cache
def acoustic_case(name: str) -> AcousticCase:
    folder = FIXTURES / name
    lines = [one["symbols"] for one in json.loads((folder / "am_io.json").read_text())["utterances"]]
    model = load_acoustic(folder / "am")
    model.together = PADDED  # as on a GPU: padded rows are what can go wrong
    return AcousticCase(name, model, lines, np.load(folder / "am_io.npz"))


@dataclass(frozen=True)
class VocoderCase:
    name: str
    generator: Any
    source: Any
    cases: list[dict]
    arrays: Any

    def mel(self, key: str) -> torch.Tensor:
        """The network's own channels, [mels, frames]."""
        return torch.from_numpy(self.arrays[f"{key}_mel"])[:, : self.generator.mels].t().contiguous()

    def excitation(self, key: str, phase: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        mel = torch.from_numpy(self.arrays[f"{key}_mel"])
        return self.source(mel[:, -2], mel[:, -1], phase, noise)

    def silent_source(self, key: str) -> torch.Tensor | None:
        """The excitation with phases and noise set to zero."""
        if self.source is None:
            return None
        samples = len(self.arrays[f"{key}_mel"]) * self.generator.hop_length
        harmonics = self.source.harmonics
        return self.excitation(key, torch.zeros(harmonics, 1), torch.zeros(harmonics, samples))

    def wave(self, key: str) -> np.ndarray:
        """What the network makes of mel and :meth:`silent_source`."""
        return self.arrays[f"{key}_wav_zero_noise" if self.source else f"{key}_wav"].reshape(-1)

    @property
    def keys(self) -> list[str]:
        return [case["key"] for case in self.cases]


@functools.cache
def vocoder_case(name: str) -> VocoderCase:
    folder = FIXTURES / name
    cases = json.loads((folder / "voc_io.json").read_text())["cases"]
    return VocoderCase(name, *load_vocoder(folder / "voc"), cases, np.load(folder / "voc_io.npz"))


@pytest.fixture(params=ACOUSTIC)
def acoustic(request):
    return acoustic_case(request.param)


@pytest.fixture(params=VOCODERS)
def vocoder(request):
    return vocoder_case(request.param)


def largest_difference(made, wanted) -> float:
    made, wanted = np.asarray(made, dtype=np.float64), np.asarray(wanted, dtype=np.float64)
    assert made.shape == wanted.shape
    return float(np.abs(made - wanted).max()) if made.size else 0.0


@pytest.fixture(scope="session")
def difference():
    return largest_difference


@pytest.fixture(scope="session")
def acoustic_named():
    return acoustic_case


@pytest.fixture(scope="session")
def vocoder_named():
    return vocoder_case


@pytest.fixture(scope="session")
def true_size():
    """The maker of voices of the real size, as the benchmark uses it."""
    file = Path(__file__).resolve().parents[3] / "bench" / "true_size.py"
    spec = importlib.util.spec_from_file_location("true_size", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def copy_of(name: str, part: str, folder: Path):
    """Copy a fixture's am/ or voc/ folder; return it, its checkpoint, and a function that saves another one."""
    copied = folder / part
    shutil.copytree(FIXTURES / name / part, copied)
    file = copied / "ckpt" / "checkpoint_0.pth"

    def save(content):
        torch.save(content, file)

    return copied, torch.load(file, weights_only=True), save


@pytest.fixture
def vocoder_fixture_copy(tmp_path):
    return copy_of("hifigan_noncausal_v1_16k", "voc", tmp_path)


@pytest.fixture
def acoustic_fixture_copy(tmp_path):
    return copy_of("sambert_multisp_emo_16k", "am", tmp_path)
