"""On a CPU a row comes out with the same bits in whatever batch it is, so a book that goes on sounds as if undisturbed.

The golden tests allow 1e-4, as they must for a GPU. But a vocoder with a source sums f0 up, and makes of 4e-6 in a mel
seven steps of a 16-bit sample at the end of a sentence.
"""

import copy
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from speech.text import FrontEnd
from speech.tts import Line, Voice
from speech.tts.acoustic import EACH_ROW

pytestmark = pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="only MKL is known to round a row alike in all batches"
)


@pytest.fixture
def case_and_model(acoustic):
    """The model as a CPU runs it (the cases' own pads, as a GPU does)."""
    model = copy.copy(acoustic.model)
    model.together = EACH_ROW
    return acoustic, model


@pytest.mark.parametrize("slots", [2, 5, 32])
def test_a_row_has_the_same_bits_alone_and_in_any_batch(case_and_model, slots, difference):
    case, model = case_and_model
    inputs = case.inputs()
    alone = [model([one], slots)[0] for one in inputs]
    for number, spoken in enumerate(alone):
        assert difference(spoken.mel, case.array(number, "post_mel")) < 1e-4
    numbers = [n % len(inputs) for n in range(3 * len(inputs))]
    random.Random(slots).shuffle(numbers)
    for number, spoken in zip(numbers, model([inputs[n] for n in numbers], slots), strict=True):
        assert torch.equal(spoken.mel, alone[number].mel)
        assert np.array_equal(spoken.durations, alone[number].durations)


@pytest.mark.slow
def test_the_demo_voice_speaks_every_sample_alike(pcm, demo_sentences):
    """It sums f0 up; the vocoder cuts a row into other pieces when there are few rows for many cores."""
    usual = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        voice = Voice.load("demo")
    finally:
        torch.set_num_threads(usual)
    lines = [Line(symbols, seed=number) for number, symbols in enumerate(demo_sentences)]
    alone = [voice.render([line])[0] for line in lines]
    order = list(range(len(lines)))
    for size in (3, 7, len(lines)):
        random.Random(size).shuffle(order)
        for start in range(0, len(order), size):
            part = order[start : start + size]
            for number, made in zip(part, voice.render([lines[n] for n in part]), strict=True):
                assert np.array_equal(made.durations, alone[number].durations)
                assert np.abs(pcm(made.audio) - pcm(alone[number].audio)).max() <= 1


@pytest.fixture
def pcm():
    return lambda audio: np.round(audio * 32767).astype(int)


@pytest.fixture
def demo_sentences():
    texts = (Path(__file__).resolve().parents[3] / "models" / "demo" / "domain-sentences.txt").read_text("utf-8")
    chosen = texts.split()[:14]
    chosen.append("，".join(text.rstrip("。？！") for text in chosen[:4]) + "。")
    front_end = FrontEnd()
    return [one.symbols for text in chosen for one in front_end.plain(text)]
