"""Speech for the tests: the bundled recordings, cut into their sentences, and what they say."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

from speech.stt import Recognizer

ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "models" / "demo" / "samples"
RATE = 16_000


@dataclass(frozen=True)
class Sentence:
    text: str
    audio: np.ndarray


SENTENCES = [
    ("demo_F7_neutral", 0.0, 2.60, "第一章，森林里的小屋。"),
    ("demo_F7_neutral", 2.60, 5.56, "山上有一座红色的房子。"),
    ("demo_F7_neutral", 5.56, 9.50, "房子里住着三个孩子和一只小猫。"),
    ("demo_M7_neutral", 0.0, 3.34, "客厅里有十二把椅子和一张桌子。"),
    ("demo_M7_neutral", 3.34, 6.40, "请打开书，看第十三页。"),
    ("demo_F7_happy", 0.0, 3.60, "二零四九年五月五号，我们搬到了重庆。"),
    ("demo_F7_happy", 3.60, 6.60, "我觉得英语很难，音乐很容易。"),
]


def sentence(number: int) -> Sentence:
    name, start, end, text = SENTENCES[number]
    audio, _ = soundfile.read(SAMPLES / f"{name}.wav", dtype="float32")
    return Sentence(text, audio[int(start * RATE) : int(end * RATE)])


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.float32)


def said(numbers: list[int], pause: float = 0.6) -> tuple[str, np.ndarray]:
    """Return what the sentences say one after the other, and their sound with pauses between them."""
    spoken = [sentence(number) for number in numbers]
    parts = [part for each in spoken for part in (each.audio, silence(pause))]
    audio = np.concatenate([silence(0.2), *parts]) if parts else silence(0)
    faint = np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32) * 3e-4
    return "".join(each.text for each in spoken), audio + faint


def load_module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer.load("demo", device="cpu", compute_type="int8", threads=2)


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Whisper with random weights: all languages, tasks and prompts change what it writes."""
    makers = load_module(ROOT / "bench" / "random_whisper.py")
    return makers.make(tmp_path_factory.mktemp("whisper"), makers.TINY, tokens_written=24)


@pytest.fixture(scope="session")
def random_recognizer(random_folder: Path) -> Recognizer:
    return Recognizer.load(random_folder, compute_type="float32", threads=2)
