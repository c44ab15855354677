"""The HiFi-GAN generator: mel frames to samples (specification section 3.2).

Three exact rewritings make it cheaper than its description (figures: bench/RESULTS.md):

* Weight norm is folded into the weights at load.
* Nearest-neighbour upsampling followed by a convolution is linear in the frames, and so is the transposed convolution
  beside it: both read LeakyReLU(x), so their sum is *one* filter bank. It runs as an ordinary convolution that makes
  all ``scale`` samples of a frame as channels, which in the layout below are already the samples in order.
* Signals are [rows, channels, 1, time] in channels-last memory. Eager 1-d convolutions reorder every input and output
  for oneDNN and fall back to im2col for wide dilations; 2-d ones in this layout do neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import NetworkFiles, Weights, newest_checkpoint, read_checkpoint
from speech.tts.config import VocoderConfig, read_vocoder_config
from speech.tts.layers import Network, Parts
from speech.tts.source import HarmonicSource

# The last activation keeps PyTorch's default slope, not the configured one.
LAST_SLOPE = 0.01
Inside = Tensor | int
"""What belongs to a row: a mask; or of a single row how many positions, and then the others are zeroed in place."""


class Generator(Network):
    """The network without its random source: mel and excitation in, samples out."""

    def __init__(self, weights: Weights, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.hop_length = config.hop_length
        self.conv_pre = Conv(weights.under("conv_pre.conv1d"), causal=config.causal)
        self.mels = self.conv_pre.inputs
        stages = []
        channels, rate = self.conv_pre.outputs, 1
        for index, scale in enumerate(config.scales):
            rate *= scale
            stages.append(Stage(weights, config, index, channels, self.hop_length // rate))
            channels = stages[-1].up.outputs
        self.stages = Parts[Stage](stages)
        self.conv_post = Conv(weights.under("conv_post.conv1d"), causal=config.causal, inputs=channels, outputs=1)

    def forward(self, mel: Tensor, excitation: Tensor | None = None, inside: Tensor | None = None) -> Tensor:
        """Map mel [rows, mels, frames] (and, NSF, excitation [rows, samples]) to samples [rows, samples].

        ``inside`` [rows, frames] is 1 for a row's own frames and 0 behind its end, in the mel's dtype; what lies
        behind is kept at zero after every convolution, so that a row gets what it would get alone (section 3.6).
        None: all rows are full.
        """
        x = self.enter(mel, inside)
        rate = 1
        for stage in self.stages:
            rate *= stage.up.scale
            x = stage(x, excitation, _mask(inside, rate))
        return self.leave(x)

    def enter(self, mel: Tensor, inside: Inside | None = None) -> Tensor:
        """Map mel [rows, mels, frames] to the first stage's input [rows, channels, 1, frames]."""
        x = mel.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        mask = _mask(inside, 1)
        return _kept(self.conv_pre(_kept(x, mask)), mask)

    def leave(self, x: Tensor) -> Tensor:
        """Map the last stage's output [rows, channels, 1, samples] to samples [rows, samples]."""
        return torch.tanh(self.conv_post(nnf.leaky_relu(x, LAST_SLOPE))).flatten(1)


def _mask(inside: Inside | None, rate: int) -> Inside | None:
    """Return the mask [rows, 1, 1, frames * rate], or the positions at that rate."""
    if inside is None:
        return None
    if isinstance(inside, int):
        return inside * rate
    return inside.unsqueeze(2).expand(-1, -1, rate).flatten(1)[:, None, None, :]


def _kept(x: Tensor, mask: Inside | None) -> Tensor:
    if mask is None:
        return x
    if isinstance(mask, int):
        x[..., mask:] = 0
        return x
    return x * mask


class Stage(Network):
    """Upsampling by one scale and the mean over residual blocks."""

    def __init__(self, weights: Weights, config: VocoderConfig, index: int, inputs: int, source_step: int) -> None:
        super().__init__()
        self.slope = config.slope
        self.up = Upsample(weights, config, index, inputs)
        self.source_step = source_step
        down = weights.under(f"source_downs.{index}.conv1d")
        self.down = SourceDown(down, source_step, self.up.outputs, causal=config.causal) if config.nsf else None
        count = len(config.dilations)
        self.blocks = Parts[Residual](
            Residual(weights.under(f"conv_blocks.{count * index + j}"), config, config.dilations[j], self.up.outputs)
            for j in range(count)
        )

    def forward(self, x: Tensor, excitation: Tensor | None, mask: Inside | None) -> Tensor:
        """Map [rows, in, 1, time] to [rows, out, 1, time * scale]; ``mask`` is at the output's rate."""
        # What was made here is changed in place, here and below: 3 percent on a CPU, which is bound by its caches.
        x = self.up(nnf.leaky_relu_(torch.sin(x).add_(x), self.slope))
        if self.down is not None:
            assert excitation is not None
            x = x + self.down(excitation, x.shape[3])
        x = _kept(x, mask)
        total = self.blocks[0](x, mask)
        for block in list(self.blocks)[1:]:
            total.add_(block(x, mask))
        return total.div_(len(self.blocks))

    def reads(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and last input position that the output samples ``first`` to ``last`` depend on."""
        # With a source, one sample more: at a cut its own convolution would see zeros.
        margin = 0 if self.down is None else 1
        first -= max(block.left for block in self.blocks) + margin
        last += max(block.right for block in self.blocks) + margin
        return -((self.up.last - first) // self.up.scale), (last - self.up.first) // self.up.scale


class Residual(Network):
    """For each dilation d: x + conv(LeakyReLU(conv_d(LeakyReLU(x))))."""

    def __init__(self, weights: Weights, config: VocoderConfig, dilations: Sequence[int], channels: int) -> None:
        super().__init__()
        self.slope = config.slope
        if weights.count("convs1") != len(dilations):
            raise weights.error("convs1", f"has {weights.count('convs1')} layers, wanted {len(dilations)} (dilations)")

        def conv(name: str, dilation: int) -> Conv:
            part = weights.under(f"{name}.conv1d")
            return Conv(part, causal=config.causal, dilation=dilation, inputs=channels, outputs=channels)

        self.first = Parts[Conv](conv(f"convs1.{m}", dilation) for m, dilation in enumerate(dilations))
        self.second = Parts[Conv](conv(f"convs2.{m}", 1) for m in range(len(dilations)))
        self.left = sum(one.left for one in (*self.first, *self.second))
        self.right = sum(one.right for one in (*self.first, *self.second))

    def forward(self, x: Tensor, mask: Inside | None) -> Tensor:
        """Map [rows, channels, 1, time] to the same shape."""
        for first, second in zip(self.first, self.second, strict=True):
            hidden = _kept(nnf.leaky_relu_(first(nnf.leaky_relu(x, self.slope)), self.slope), mask)
            x = _kept(second(hidden), mask).add_(x)
        return x


class Conv(Network):
    """A convolution that keeps the length: zeros on both sides, or all on the left (causal)."""

    def __init__(
        self,
        weights: Weights,
        *,
        causal: bool,
        dilation: int = 1,
        inputs: int | None = None,
        outputs: int | None = None,
    ) -> None:
        super().__init__()
        kernel = weights.normed("", outputs, inputs, None)
        self.outputs, self.inputs, self.size = kernel.shape
        self.kernel = _frozen(kernel)
        self.bias = nn.Parameter(weights.take("bias", self.outputs), requires_grad=False)
        self.dilation = dilation
        reach = (self.size - 1) * dilation
        self.left = reach if causal else reach // 2
        self.right = reach - self.left

    def forward(self, x: Tensor) -> Tensor:
        """Map [rows, in, 1, time] to [rows, out, 1, time]."""
        return _convolve(x, self.kernel, self.bias, self.left, self.right, self.dilation)


class Upsample(Network):
    """Both upsampling paths of a stage as one convolution with ``scale * outputs`` channels."""

    def __init__(self, weights: Weights, config: VocoderConfig, index: int, inputs: int) -> None:
        super().__init__()
        scale = config.scales[index]
        repeat = weights.under(f"repeat_upsamples.{index}.2.conv1d")
        transpose = weights.under(f"transpose_upsamples.{index}.1.deconv")
        after = repeat.normed("", None, inputs, None)  # [out, in, taps]
        outputs, _, taps = after.shape
        deconv = transpose.normed("", inputs, outputs, None)  # [in, out, taps]
        span = deconv.shape[2]
        before = taps - 1 if config.causal else (taps - 1) // 2
        cut = 0 if config.causal else (span - scale) // 2
        # What frame 0 adds to sample n, for n from `first`: the sum of both paths' impulse responses.
        first = min(before - taps + 1, -cut)
        response = deconv.new_zeros(inputs, outputs, max(before + scale, span - cut) - first)
        response[:, :, -cut - first : span - cut - first] += deconv
        for tap in range(taps):
            start = before - tap - first
            response[:, :, start : start + scale] += after[:, :, tap].t().unsqueeze(2)
        # Sample p of frame q reads frame q + offset through response[p - first - offset * scale].
        least = -((response.shape[2] - 1 + first) // scale)
        most = (scale - 1 - first) // scale
        kernel = deconv.new_zeros(scale, outputs, inputs, most - least + 1)
        for phase in range(scale):
            for offset in range(least, most + 1):
                place = phase - first - offset * scale
                if 0 <= place < response.shape[2]:
                    kernel[phase, :, :, offset - least] = response[:, :, place].t()
        self.kernel = _frozen(kernel.flatten(0, 1))
        bias = repeat.take("bias", outputs) + transpose.take("bias", outputs)
        self.bias = nn.Parameter(bias.repeat(scale), requires_grad=False)
        self.outputs = outputs
        self.scale = scale
        self.left, self.right = -least, most
        self.first, self.last = first, first + response.shape[2] - 1

    def forward(self, x: Tensor) -> Tensor:
        """Map [rows, in, 1, time] to [rows, out, 1, time * scale]."""
        together = _convolve(x, self.kernel, self.bias, self.left, self.right, 1)
        samples = together.permute(0, 2, 3, 1).reshape(x.shape[0], 1, x.shape[3] * self.scale, self.outputs)
        return samples.permute(0, 3, 1, 2)


class SourceDown(Network):
    """Brings the excitation to a stage's rate: a convolution of size 2 * step with that step."""

    def __init__(self, weights: Weights, step: int, outputs: int, *, causal: bool) -> None:
        super().__init__()
        size = 2 * step if step > 1 else 1
        kernel = weights.normed("", outputs, 1, size)
        self.kernel = nn.Parameter(kernel.squeeze(1).t().contiguous(), requires_grad=False)
        self.bias = nn.Parameter(weights.take("bias", outputs), requires_grad=False)
        self.step = step
        self.left = size - 1 if causal else step // 2

    def forward(self, excitation: Tensor, count: int) -> Tensor:
        """Map [rows, samples] to [rows, channels, 1, count], as a product: the layout comes out right."""
        if self.step == 1:
            seen = excitation.unsqueeze(2)
        else:
            missing = (count + 1) * self.step - self.left - excitation.shape[1]
            blocks = nnf.pad(excitation, (self.left, missing)).view(excitation.shape[0], count + 1, self.step)
            seen = torch.cat([blocks[:, :-1], blocks[:, 1:]], dim=2)
        return (torch.matmul(seen, self.kernel) + self.bias).permute(0, 2, 1).unsqueeze(2)


def _frozen(kernel: Tensor) -> nn.Parameter:
    """Return [out, in, taps] as a 2-d kernel [out, in, 1, taps] in channels-last memory."""
    return nn.Parameter(kernel.unsqueeze(2).contiguous(memory_format=torch.channels_last), requires_grad=False)


def _convolve(x: Tensor, kernel: Tensor, bias: Tensor, left: int, right: int, dilation: int) -> Tensor:
    if left == right:
        return nnf.conv2d(x, kernel, bias, padding=(0, left), dilation=(1, dilation))
    return nnf.conv2d(nnf.pad(x, (left, right)), kernel, bias, dilation=(1, dilation))


def stage_context(stage: Stage, left: int = 0, right: int = 0) -> tuple[int, int]:
    """Return how many input positions on the left and right of one its output samples depend on.

    ``left`` and ``right`` are further samples that a layer behind the stage reads beside its own.
    """
    first, last = stage.reads(-left, stage.up.scale - 1 + right)
    return -first, last


def context(generator: Generator) -> tuple[int, int]:
    """Return the frames on the left and right of a frame that its samples depend on (specification section 3.5)."""
    first, last = -generator.conv_post.left, generator.hop_length - 1 + generator.conv_post.right
    for stage in reversed(generator.stages):
        first, last = stage.reads(first, last)
    return generator.conv_pre.left - first, generator.conv_pre.right + last


def load_vocoder(where: Path | NetworkFiles) -> tuple[Generator, HarmonicSource | None]:
    """Load a ``voc/`` folder (``config.yaml``, ``ckpt/``) or such files; raise ModelError naming file and key."""
    files = NetworkFiles.of(where)
    config = read_vocoder_config(files.config)
    weights = read_checkpoint(newest_checkpoint(files.checkpoints), "model", "generator")
    source = None
    if config.nsf:
        source = HarmonicSource(
            weights.under("source_module"), config.harmonics, config.sample_rate, config.hop_length
        ).eval()
    return Generator(weights, config).eval(), source
