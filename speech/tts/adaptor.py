"""Pitch, energy and durations per symbol, and their repetition to frames (specification sections 2.5 to 2.7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import Weights
from speech.tts.layers import Fsmn, Network, linear, lstm


@dataclass(frozen=True)
class Prosody:
    """Predictions of a padded batch; all float32 [rows, symbols] but ``text`` [rows, symbols, width]."""

    pitch: Tensor
    energy: Tensor
    log_duration: Tensor
    text: Tensor


@dataclass(frozen=True)
class Memory:
    """What the decoder reads for one row: ``vectors`` float32 [steps, width]; ``band`` in steps."""

    vectors: Tensor
    frames: int
    band: int
    durations: NDArray[np.int64]  # [symbols], frames
    repeated_text: Tensor  # float32 [steps * frames_per_step, text width], with duration positions


class VarianceAdaptor(Network):
    """Predictors and length regulator."""

    def __init__(self, weights: Weights, shift: tuple[int, ...] | int, frames_per_step: int) -> None:
        super().__init__()
        self.pitch_predictor = _CurvePredictor(weights.under("pitch_predictor"), shift)
        self.energy_predictor = _CurvePredictor(weights.under("energy_predictor"), shift)
        self.pitch_embedding = _CurveEmbedding(weights, "pitch_emb")
        self.energy_embedding = _CurveEmbedding(weights, "energy_emb")
        self.duration_predictor = DurationPredictor(weights.under("duration_predictor"))
        scales = weights.take("dur_position_encoder.inv_timescales", None)
        self.register_buffer("timescales", scales, persistent=False)
        self.frames_per_step = frames_per_step

    def forward(self, text: Tensor, speaker: Tensor, emotion: Tensor, lengths: Tensor, mask: Tensor) -> Prosody:
        """Predict from vectors [rows, symbols, width]; ``mask`` float [rows, symbols, 1]; padding comes out 0."""
        x = torch.cat([text, speaker, emotion], dim=2)
        packed_lengths = lengths.cpu()
        pitch = self.pitch_predictor(x, packed_lengths, mask)
        energy = self.energy_predictor(x, packed_lengths, mask)
        text = text + self.pitch_embedding(pitch) + self.energy_embedding(energy)
        log_duration = self.duration_predictor(torch.cat([text, speaker, emotion], dim=2)) * mask.squeeze(2)
        return Prosody(pitch, energy, log_duration, text)

    def regulate(self, text: Tensor, speaker: Tensor, emotion: Tensor, duration: Tensor) -> Memory:
        """Repeat one row's vectors [symbols, width] for their (unrounded) ``duration`` [symbols] in frames.

        ``duration`` is on the CPU, so that a GPU is not waited for once per row; what lies behind the row is ignored.
        """
        step = self.frames_per_step
        duration = duration[: len(text)]
        repeats = torch.trunc(duration + 0.5).to(torch.int64)
        frames = int(repeats.sum())
        band = int(float(duration.max()) / step + 0.5)
        filler = -frames % step
        symbol = torch.arange(len(text)).repeat_interleave(repeats)
        # Each frame's number inside its symbol, from 1. Filler frames hold the code of position 0, which is not
        # zero, and enter the last step's memory.
        number = torch.arange(1, frames + 1) - (repeats.cumsum(0) - repeats)[symbol]
        position = nnf.pad(number, (0, filler)).to(text.device)
        symbol = symbol.to(text.device)

        def repeated(vectors: Tensor) -> Tensor:
            return nnf.pad(vectors.index_select(0, symbol), (0, 0, 0, filler))

        texts = repeated(text) + self._position_code(position)
        beside = texts.reshape(-1, step * text.shape[1])
        vectors = torch.cat([beside, repeated(speaker)[::step], repeated(emotion)[::step]], dim=1)
        return Memory(vectors, frames, band, repeats.numpy(), texts)

    def _position_code(self, position: Tensor) -> Tensor:
        scales: Tensor = self.timescales
        angles = position.to(torch.float32).unsqueeze(1) / scales
        even = torch.arange(scales.shape[0], device=scales.device) % 2 == 0
        return torch.where(even, angles.sin(), angles.cos())


class _CurvePredictor(Network):
    """Pitch or energy: FSMN, bidirectional LSTM, one number per symbol."""

    def __init__(self, weights: Weights, shift: tuple[int, ...] | int) -> None:
        super().__init__()
        self.fsmn = Fsmn(weights.under("fsmn"), shift)
        self.blstm = lstm(weights, "blstm", bidirectional=True)
        self.fc = linear(weights, "fc", 2 * self.blstm.hidden_size, 1)

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        y = self.fsmn(x, mask)
        # Packed, so that the backward direction starts at each row's own end.
        packed = nn.utils.rnn.pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.blstm(packed)
        unpacked, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])
        return (self.fc(unpacked) * mask).squeeze(2)


class _CurveEmbedding(Network):
    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__()
        kernel = weights.take(f"{name}.weight", None, 1, None)
        self.kernel = nn.Parameter(kernel, requires_grad=False)
        self.bias = nn.Parameter(weights.take(f"{name}.bias", kernel.shape[0]), requires_grad=False)

    def forward(self, curve: Tensor) -> Tensor:
        reach = (self.kernel.shape[2] - 1) // 2
        return nnf.conv1d(curve.unsqueeze(1), self.kernel, self.bias, padding=reach).transpose(1, 2)


class DurationPredictor(Network):
    """Autoregressive over symbols; what is fed back is log(duration + 1), unrounded."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.first = linear(weights, "prenet.fcs.0", 1)
        self.second = linear(weights, "prenet.fcs.3", self.first.out_features)
        cells = weights.under("lstm")
        hidden = cells.take("weight_hh_l0").shape[1]
        for layer in (0, 1):
            for kind, shape in {"weight_ih": (4 * hidden, None), "weight_hh": (4 * hidden, hidden)}.items():
                self.register_buffer(f"{kind}_{layer}", cells.take(f"{kind}_l{layer}", *shape), persistent=False)
            bias = cells.take(f"bias_ih_l{layer}", 4 * hidden) + cells.take(f"bias_hh_l{layer}", 4 * hidden)
            self.register_buffer(f"bias_{layer}", bias, persistent=False)
        self.fc = linear(weights, "fc", hidden, 1)
        self.hidden = hidden

    def forward(self, x: Tensor) -> Tensor:
        """Map [rows, symbols, width] to log(duration + 1) [rows, symbols]; causal, so padding cannot leak."""
        rows, symbols, _ = x.shape
        previous = self.second.out_features
        # The part of the first cell's input that does not depend on the feedback, for all symbols at once.
        known = nnf.linear(x, self.weight_ih_0[:, previous:], self.bias_0).transpose(0, 1).contiguous()
        looped = torch.cat([self.weight_ih_0[:, :previous], self.weight_hh_0], dim=1).t().contiguous()
        upper = torch.cat([self.weight_ih_1, self.weight_hh_1], dim=1).t().contiguous()
        low_h = low_c = high_h = high_c = x.new_zeros(rows, self.hidden)
        y = x.new_zeros(rows, 1)
        outputs = []
        for step in range(symbols):
            fed_back = torch.relu(self.second(torch.relu(self.first(y))))
            low_h, low_c = _cell(torch.addmm(known[step], torch.cat([fed_back, low_h], dim=1), looped), low_c)
            high_h, high_c = _cell(torch.addmm(self.bias_1, torch.cat([low_h, high_h], dim=1), upper), high_c)
            y = torch.relu(self.fc(high_h))
            outputs.append(y)
        return torch.cat(outputs, dim=1)


def _cell(gates: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    entry, forget, candidate, output = gates.chunk(4, dim=1)
    state = torch.sigmoid(forget) * state + torch.sigmoid(entry) * torch.tanh(candidate)
    return torch.sigmoid(output) * torch.tanh(state), state
