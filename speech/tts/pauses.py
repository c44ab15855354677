"""Filled pauses (en, a, e), put in by the voices that were trained with them (specification section 2.9, FP)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import Weights
from speech.tts.encoder import TextEncoder
from speech.tts.layers import Network, layer_norm, linear
from speech.tts.symbols import SymbolTable

# Classes 1, 2 and 3 of the predictor; class 0 is "none".
_FILLERS = (("ge", "en_c"), ("ga", "a_c"), ("ge", "e_c"))
_LENGTH = 3


class FilledPauses(Network):
    """Decides before which symbols a filled pause is spoken, and puts its three vectors there."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        kernel = weights.take("w_1.weight", None, None, None)
        self.kernel = nn.Parameter(kernel, requires_grad=False)
        self.bias = nn.Parameter(weights.take("w_1.bias", kernel.shape[0]), requires_grad=False)
        self.norm_1 = layer_norm(weights, "layer_norm1", kernel.shape[0])
        self.w_2 = linear(weights, "w_2", kernel.shape[0])
        self.norm_2 = layer_norm(weights, "layer_norm2", self.w_2.out_features)
        self.fc = linear(weights, "fc", self.w_2.out_features, 1 + len(_FILLERS))

    def forward(self, text: Tensor) -> Tensor:
        """Map [rows, symbols, width], zero at padding, to class probabilities [rows, symbols, 4]."""
        reach = self.kernel.shape[2] // 2
        x = nnf.conv1d(text.transpose(1, 2), self.kernel, self.bias, padding=reach).transpose(1, 2)
        x = self.norm_2(torch.relu(self.w_2(self.norm_1(torch.relu(x)))))
        return torch.softmax(self.fc(x), dim=2)

    @staticmethod
    def fixed_vectors(encoder: TextEncoder, symbols: SymbolTable) -> Tensor:
        """Encode the three fixed fillers alone: [3 classes, 3 symbols, width]."""
        lines = [
            f"{{{first}$tone5$s_begin$word_begin$emotion_none$F7}} {{{second}$tone5$s_end$word_end$emotion_none$F7}} "
            "{#3$tone_none$s_none$word_none$emotion_none$F7}"
            for first, second in _FILLERS
        ]
        device = encoder.projection.weight.device
        ids = torch.stack([torch.from_numpy(symbols.encode(line).linguistic) for line in lines]).to(device)
        return encoder(ids, torch.full((len(lines),), _LENGTH, device=device))

    def insert(self, text: Tensor, lengths: Sequence[int], fixed: Tensor) -> tuple[Tensor, Tensor, list[list[int]]]:
        """Return the longer text vectors, the emotion/speaker index of each vector, and its owner symbols.

        Emotions and speakers are not inserted in place: a row goes on with its own first ones at its end.
        """
        classes = self(text).argmax(dim=2).tolist()
        rows, indices, owners = [], [], []
        for row, length in enumerate(lengths):
            parts, owner = [], []
            for symbol, kind in enumerate(classes[row][:length]):
                if kind:
                    parts.append(fixed[kind - 1])
                    owner += [symbol] * _LENGTH
                parts.append(text[row, symbol : symbol + 1])
                owner.append(symbol)
            rows.append(torch.cat(parts))
            indices.append(torch.arange(len(owner), device=text.device) % length)
            owners.append(owner)
        pad = nn.utils.rnn.pad_sequence
        return pad(rows, batch_first=True), pad(indices, batch_first=True), owners
