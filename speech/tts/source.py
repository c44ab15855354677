"""The harmonic source of NSF vocoders (specification section 3.3), always outside the network proper.

Random on purpose (noise and starting phases), so every utterance has a generator of its own: its audio does not
depend on its neighbours in the batch. The phase is summed in float64, so long utterances keep their pitch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from speech.tts.acoustic import VOICED_FROM
from speech.tts.checkpoint import Weights
from speech.tts.layers import Network

AMPLITUDE = 0.1
NOISE = 0.003
UNVOICED_GAIN = AMPLITUDE / 3 / NOISE


class HarmonicSource(Network):
    """Makes the excitation of one utterance from f0 and voicing."""

    def __init__(self, weights: Weights, harmonics: int, sample_rate: int, hop_length: int) -> None:
        super().__init__()
        mix = weights.normed("ffn.0", 1, harmonics, 1).reshape(harmonics)
        self.register_buffer("mix", mix, persistent=False)
        self.register_buffer("bias", weights.take("ffn.0.bias", 1), persistent=False)
        self.harmonics = harmonics
        self.sample_rate = sample_rate
        self.hop_length = hop_length

    def draw(self, frames: int, seed: int) -> tuple[Tensor, Tensor]:
        """Draw starting phases [harmonics, 1] in -pi..pi and noise [harmonics, samples], float32.

        The order and the sizes of the draws are those of the original, so a seed gives its numbers on the CPU.
        """
        device = self.mix.device
        generator = torch.Generator(device=device).manual_seed(seed)
        phase = torch.empty(self.harmonics, 1, device=device).uniform_(-math.pi, math.pi, generator=generator)
        phase[0] = 0.0
        noise = torch.empty(self.harmonics, frames * self.hop_length, device=device)
        return phase, noise.normal_(0.0, NOISE, generator=generator)

    def forward(self, f0: Tensor, voicing: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
        """Return the excitation float32 [samples] of f0 [frames] in Hz and voicing [frames] (0 or 1)."""
        f0 = f0.to(torch.float64).repeat_interleave(self.hop_length)
        voiced = (voicing >= VOICED_FROM).to(torch.float32).repeat_interleave(self.hop_length)
        numbers = torch.arange(1, self.harmonics + 1, dtype=torch.float64, device=f0.device).unsqueeze(1)
        cycles = torch.cumsum(f0 / self.sample_rate, dim=0)
        angle = (2 * math.pi * ((cycles * numbers) % 1.0)).to(torch.float32) + phase
        harmonic = voiced * (AMPLITUDE * torch.sin(angle) + noise) + (1.0 - voiced) * (UNVOICED_GAIN * noise)
        return torch.tanh(self.mix @ harmonic + self.bias)
