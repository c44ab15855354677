"""Building blocks that several parts of Sambert share, made from checkpoint tensors.

Everything here works on right-padded batches [rows, time, channels] and gives each row exactly what it would get
alone: whatever a layer could read from the padding is set to zero first (specification section 2.11).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import Weights

LAYER_NORM_EPS = 1e-6

Part = TypeVar("Part", bound=nn.Module)


class Network(nn.Module):
    """A module whose registered buffers type checkers take as they come."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class Parts(nn.ModuleList, Generic[Part]):
    """A list of modules that keeps their type."""

    if TYPE_CHECKING:

        def __iter__(self) -> Iterator[Part]: ...

        def __getitem__(self, index: int) -> Part: ...  # type: ignore[override]


def linear(weights: Weights, name: str, inputs: int | None = None, outputs: int | None = None) -> nn.Linear:
    """Return the linear layer ``name``; a kernel-1 convolution's weight [out, in, 1] is taken as one, too."""
    part = weights.under(name)
    if "weight" in part and part.dimensions("weight") == 3:
        weight = part.take("weight", outputs, inputs, 1).squeeze(2)
    else:
        weight = part.take("weight", outputs, inputs)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in part, device="meta")
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if "bias" in part:
        layer.bias = nn.Parameter(part.take("bias", weight.shape[0]), requires_grad=False)
    return layer


def layer_norm(weights: Weights, name: str, width: int | None = None) -> nn.LayerNorm:
    """Return the layer norm ``name`` (eps 1e-6)."""
    part = weights.under(name)
    gain = part.take("weight", width)
    layer = nn.LayerNorm(gain.shape[0], eps=LAYER_NORM_EPS, device="meta")
    layer.weight = nn.Parameter(gain, requires_grad=False)
    layer.bias = nn.Parameter(part.take("bias", gain.shape[0]), requires_grad=False)
    return layer


def embedding(weights: Weights, name: str, width: int | None = None) -> nn.Embedding:
    """Return the embedding ``name`` with as many rows as the checkpoint has."""
    table = weights.take(f"{name}.weight", None, width)
    return nn.Embedding(table.shape[0], table.shape[1], _weight=table, _freeze=True)


def lstm(weights: Weights, name: str, *, bidirectional: bool = False) -> nn.LSTM:
    """Return the one-layer LSTM ``name`` over [rows, time, channels]."""
    part = weights.under(name)
    hidden = part.take("weight_hh_l0").shape[1]
    inputs = part.take("weight_ih_l0", 4 * hidden, None).shape[1]
    layer = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=bidirectional)
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (4 * hidden, inputs), "weight_hh": (4 * hidden, hidden)}
    shapes |= {"bias_ih": (4 * hidden,), "bias_hh": (4 * hidden,)}
    for direction in ("_l0", "_l0_reverse") if bidirectional else ("_l0",):
        for kind, shape in shapes.items():
            getattr(layer, kind + direction).data.copy_(part.take(kind + direction, *shape))
    return layer.requires_grad_(requires_grad=False)


def valid_positions(lengths: Tensor, width: int) -> Tensor:
    """Return bool [rows, width], true where a position lies inside its row."""
    return torch.arange(width, device=lengths.device) < lengths.unsqueeze(1)


class Fsmn(Network):
    """A stack of feed-forward layers with depth-wise memory convolutions (specification section 2.4)."""

    def __init__(self, weights: Weights, shift: tuple[int, ...] | int) -> None:
        super().__init__()
        count = weights.count("ffn_lst")
        if count == 0:
            raise weights.error("ffn_lst.0.w_1.weight", "is missing")
        shifts = shift if isinstance(shift, tuple) else (shift,) * count
        if len(shifts) != count:
            raise weights.error("ffn_lst", f"has {count} layers, but the configuration gives {len(shifts)} shifts")
        self.layers = Parts[_FsmnLayer](
            _FsmnLayer(weights.under(f"ffn_lst.{i}"), weights.under(f"memory_block_lst.{i}"), shifts[i])
            for i in range(count)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map [rows, time, in] to [rows, time, out]; ``mask`` is float [rows, time, 1]."""
        for layer in self.layers:
            x = layer(x, mask)
        return x


class _FsmnLayer(Network):
    def __init__(self, feed_forward: Weights, memory: Weights, shift: int) -> None:
        super().__init__()
        self.w_1 = linear(feed_forward, "w_1")
        self.w_2 = linear(feed_forward, "w_2", self.w_1.out_features)
        kernel = memory.take("conv_dw.weight", self.w_2.out_features, 1, None)
        self.kernel = nn.Parameter(kernel, requires_grad=False)
        reach = kernel.shape[2] - 1
        # Python's round() halves to even, as the original does; kernels are odd anyway.
        self.left = round(reach / 2) + shift
        self.right = reach // 2 - shift
        if self.right < 0:
            raise memory.error("conv_dw.weight", f"is too short for a shift of {shift}")

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        y = self.w_2(torch.relu(self.w_1(x))) * mask
        padded = nnf.pad(y.transpose(1, 2), (self.left, self.right))
        remembered = nnf.conv1d(padded, self.kernel, groups=self.kernel.shape[0]).transpose(1, 2)
        y = (remembered + y) * mask
        return y + x if x.shape[2] == y.shape[2] else y
