"""A voice of the real size with random weights, in the original's checkpoint format, that speaks at a human pace.

Real voices cannot be shipped, but time and memory depend on shapes only, and the shapes of every published
configuration are in tests/fixtures/sambert-hifigan. The duration predictor is biased to about nine frames a symbol.
"""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

FIXTURES = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "sambert-hifigan"
SYMBOLS = Path(__file__).resolve().parents[1] / "speech" / "tts" / "data" / "symbols.json"
FRAMES_PER_SYMBOL = 9.4
# Spreads the durations: the widest of a line makes its band, 6 steps here as in read speech.
DURATION_GAIN = 3.0


def shapes_of(file: str, name: str, base: str) -> dict[str, list[int]]:
    """Return key -> shape of a published configuration (given whole, or as differences to ``base``)."""
    entries = json.loads((FIXTURES / file).read_text())
    entry = entries[name]
    if "keys" in entry:
        return dict(entry["keys"])
    shapes = dict(entries[base]["keys"])
    changes = entry[f"differs_from_{base}"]
    for key in changes.get("missing", []):
        del shapes[key]
    return shapes | changes.get("added", {}) | changes.get("other_shape", {})


def write_voice(
    folder: Path, acoustic: str = "sambert_16k", vocoder: str = "hifigan_noncausal_v1_16k", seed: int = 1
) -> Path:
    """Write a voice folder ``am/``, ``voc/`` and return it."""
    generator = torch.Generator().manual_seed(seed)
    configs = json.loads((FIXTURES / "configs.json").read_text())
    if acoustic:
        _write_acoustic(folder / "am", acoustic, configs[acoustic], generator)
    if vocoder:
        _write_vocoder(folder / "voc", vocoder, configs[vocoder], generator)
    return folder


def _write_acoustic(folder: Path, name: str, config: dict[str, Any], generator: torch.Generator) -> None:
    shapes = shapes_of("state_dict_am.json", name, "sambert_16k")
    entry = json.loads((FIXTURES / "state_dict_am.json").read_text())[name]
    weights = {key: _random(key, shape, generator) for key, shape in shapes.items()}
    width = shapes["variance_adaptor.dur_position_encoder.inv_timescales"][0]
    steps = torch.arange(width) // 2
    weights["variance_adaptor.dur_position_encoder.inv_timescales"] = 10000.0 ** (2 * steps / width)
    weights["variance_adaptor.duration_predictor.fc.bias"].fill_(math.log(FRAMES_PER_SYMBOL + 1))
    settings = {
        "model_type": "sambert",
        "Model": {"KanTtsSAMBERT": {"params": config["params"]}},
        "linguistic_unit": {**config["linguistic_unit"], "speaker_list": entry["speaker_list"]},
        "audio_config": {"sampling_rate": _rate(name), "hop_length": 200},
    }
    _write(folder, settings, {"model": weights, "steps": 0})
    if config["params"].get("SE"):
        np.save(folder / "se.npy", np.random.default_rng(1).normal(size=(1, 192)).astype(np.float32))
    if config["params"].get("NSF"):
        np.save(folder / "mvn.npy", np.array([[180.0], [55.0]]))


def pace(folder: Path) -> Path:
    """Move the duration predictor's bias until lines come out at ``FRAMES_PER_SYMBOL``; return the voice folder."""
    from speech.tts.acoustic import AcousticInput, load_acoustic

    file = folder / "am" / "ckpt" / "checkpoint_0.pth"
    checkpoint = torch.load(file, weights_only=True)
    model = load_acoustic(folder / "am")
    rng = random.Random(7)
    lines = [AcousticInput(model.symbols.encode(symbol_line(24, rng))) for _ in range(4)]
    bias = model.adaptor.duration_predictor.fc.bias
    with torch.inference_mode():
        for _ in range(30):
            durations = np.concatenate([memory.durations for memory in model.memories(lines)[0]])
            bias += 0.5 * math.log((FRAMES_PER_SYMBOL + 1) / (durations.mean() + 1))
    checkpoint["model"]["variance_adaptor.duration_predictor.fc.bias"] = bias.detach().clone()
    torch.save(checkpoint, file)
    return folder


def _write_vocoder(folder: Path, name: str, config: dict[str, Any], generator: torch.Generator) -> None:
    shapes = shapes_of("state_dict_voc.json", name, "hifigan_noncausal_v1_16k")
    weights = {key: _random(key, shape, generator) for key, shape in shapes.items()}
    for key in [key for key in weights if key.endswith("weight_g")]:
        weights[key] = weights[key].abs() * 0 + _gain(shapes[key.replace("weight_g", "weight_v")])
    settings = {
        "model_type": "hifigan",
        "Model": {"Generator": {"params": config["Generator_params"]}},
        "audio_config": {"sampling_rate": _rate(name)},
    }
    _write(folder, settings, {"model": {"generator": weights}, "steps": 0})


def _gain(shape: list[int]) -> float:
    """Return the norm per first-axis slice that keeps a signal's size through the convolution, or a bit less."""
    return 0.5 * math.sqrt(shape[1] * shape[2]) / math.sqrt(shape[0] * shape[2])


def _random(key: str, shape: list[int], generator: torch.Generator) -> torch.Tensor:
    if key.endswith("bias"):
        return torch.zeros(shape) if "norm" in key or ".ln." in key else 0.02 * torch.randn(shape, generator=generator)
    if "norm" in key or ".ln." in key:
        return torch.ones(shape)
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
    gain = DURATION_GAIN if "duration_predictor.fc" in key else 1.0
    return gain * torch.randn(shape, generator=generator) / math.sqrt(fan_in)


def _rate(name: str) -> int:
    return next(1000 * rate for rate in (48, 24, 16, 8) if f"{rate}k" in name)


def _write(folder: Path, settings: dict[str, Any], checkpoint: dict[str, Any]) -> None:
    (folder / "ckpt").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    torch.save(checkpoint, folder / "ckpt" / "checkpoint_0.pth")


def symbol_line(syllables: int, rng: random.Random, speaker: str = "F7") -> str:
    """Return a well-formed line of random Mandarin syllables in two-syllable words, with phrase breaks."""
    groups = json.loads(SYMBOLS.read_text())["PinYin_groups"]
    symbols = []
    for syllable in range(syllables):
        tone = f"tone{rng.randint(1, 5)}"
        first, last = syllable % 2 == 0, syllable % 2 == 1 or syllable == syllables - 1
        for kind, flag in (("initials", "s_begin"), ("finals", "s_end")):
            word = (
                "word_begin"
                if first and flag == "s_begin"
                else "word_end"
                if last and flag == "s_end"
                else "word_middle"
            )
            phone = rng.choice(groups[kind])
            symbols.append(f"{{{phone}${tone}${flag}${word}$emotion_neutral${speaker}}}")
        if last:
            level = 4 if syllable == syllables - 1 else 3 if syllable % 8 == 7 else 1
            symbols.append(f"{{#{level}$tone_none$s_none$word_none$emotion_neutral${speaker}}}")
    return " ".join(symbols)
