"""A Whisper of any size with random weights, made in seconds without a network: for speed, and for what must hold for
any model (rows of a batch do not see each other). It writes nonsense, always of the same length.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LANGUAGES_AT = 50258
TIMES = 1501
STOP_DIMENSION = 0


@dataclass(frozen=True)
class Size:
    """Width, layers of each half, heads, mel bands, text tokens before the special ones."""

    width: int
    layers: int
    heads: int
    mels: int = 80
    text_tokens: int = 50256


SMALL = Size(width=768, layers=12, heads=12)
"""OpenAI's `small`."""
TINY = Size(width=64, layers=2, heads=2, text_tokens=400)
"""For tests: 1.5 MB."""


def make(
    folder: Path, size: Size, *, tokens_written: int | None = None, quantization: str | None = None, seed: int = 0
) -> Path:
    """Write a CTranslate2 Whisper folder. ``tokens_written``: how many tokens each row writes; None: as it comes."""
    from ctranslate2.specs.whisper_spec import WhisperSpec

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(size.text_tokens)
    rng = np.random.default_rng(seed)
    spec = WhisperSpec(size.layers, size.heads, size.layers, size.heads)
    _fill(spec, size, len(vocabulary), rng)
    if tokens_written is not None:
        _stop_after(spec, size, vocabulary.index("<|endoftext|>"), tokens_written)
    spec.register_vocabulary(vocabulary)
    place = {token: i for i, token in enumerate(vocabulary)}
    first_language = place["<|startoftranscript|>"] + 1
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [place["<|endoftext|>"]]
    spec.config.lang_ids = list(range(first_language, place["<|translate|>"]))
    spec.config.alignment_heads = [(size.layers - 1, head) for head in range(size.heads)]
    spec.validate()
    spec.optimize(quantization=quantization)
    spec.save(str(folder))
    _write_tokenizer(folder, vocabulary)
    extractor = {"chunk_length": 30, "feature_size": size.mels, "hop_length": 160, "n_fft": 400, "sampling_rate": 16000}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor), encoding="utf-8")
    return folder


def _vocabulary(text_tokens: int) -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    alphabet = _byte_alphabet()
    words = [f"Ġw{number}" for number in range(text_tokens - len(alphabet))]
    languages = [f"<|{code}|>" for code in _LANGUAGE_CODES[:99]]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, "<|translate|>", "<|transcribe|>"]
    special += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    times = [f"<|{number * 0.02:.2f}|>" for number in range(TIMES)]
    return [*alphabet, *words, "", *special, *times]


def _byte_alphabet() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _write_tokenizer(folder: Path, vocabulary: list[str]) -> None:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    first_special = vocabulary.index("<|endoftext|>")
    text = {token: i for i, token in enumerate(vocabulary[:first_special])}
    tokenizer = Tokenizer(models.BPE(vocab=text, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in vocabulary[first_special:]])
    assert tokenizer.token_to_id("<|endoftext|>") == first_special
    tokenizer.save(str(folder / "tokenizer.json"))


def _fill(spec, size: Size, words: int, rng: np.random.Generator) -> None:
    width = size.width

    def weights(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def linear(layer, outputs: int, inputs: int) -> None:
        layer.weight, layer.bias = weights(outputs, inputs), np.zeros(outputs, np.float32)

    def norm(layer) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    def attention(layer, *outputs: int) -> None:
        norm(layer.layer_norm)
        for part, rows in zip(layer.linear, outputs, strict=True):
            linear(part, rows, width)

    def feed_forward(layer) -> None:
        norm(layer.layer_norm)
        linear(layer.linear_0, 4 * width, width)
        linear(layer.linear_1, width, 4 * width)

    encoder, decoder = spec.encoder, spec.decoder
    for conv, inputs in ((encoder.conv1, size.mels), (encoder.conv2, width)):
        conv.weight = (weights(width, inputs * 3) * 3).reshape(width, inputs, 3)
        conv.bias = np.zeros(width, np.float32)
    encoder.position_encodings.encodings = (rng.standard_normal((1500, width)) * 0.1).astype(np.float32)
    decoder.position_encodings.encodings = (rng.standard_normal((448, width)) * 0.5).astype(np.float32)
    decoder.embeddings.weight = rng.standard_normal((words, width)).astype(np.float32)
    decoder.projection.weight = weights(words, width) * 4
    norm(encoder.layer_norm)
    norm(decoder.layer_norm)
    for layer in encoder.layer:
        attention(layer.self_attention, 3 * width, width)
        feed_forward(layer.ffn)
    for layer in decoder.layer:
        attention(layer.self_attention, 3 * width, width)
        attention(layer.attention, width, 2 * width, width)
        feed_forward(layer.ffn)


def _stop_after(spec, size: Size, end: int, tokens: int) -> None:
    """Make the end token certain from a position on, and impossible before: one dimension of the position says so."""
    decoder = spec.decoder
    decoder.embeddings.weight[:, STOP_DIMENSION] = 0
    places = decoder.position_encodings.encodings
    places[:, STOP_DIMENSION] = -20
    places[tokens + 2 :, STOP_DIMENSION] = 1000
    decoder.projection.weight[:, STOP_DIMENSION] = 0
    decoder.projection.weight[end:] = 0  # control tokens and times: never likelier than text
    decoder.projection.weight[end, STOP_DIMENSION] = 10
