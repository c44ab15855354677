"""The autoregressive PNCA decoder, batched continuously (specification section 2.8).

The original spends its time on launching small operations, so the step is made of as few as possible (figures, and
what was tried instead, in bench/RESULTS.md):

* Layer norm gains and biases, the attention's scale, consecutive linear layers without an activation between them
  (``prenet.fcs.6`` and ``dec_in_proj``; ``dec_out_proj`` and ``prenet.fcs.0``) are folded into one matrix each.
* Only the band of keys and values that a step can see is kept, in a ring. Its position is the *global* step modulo
  the ring's size, the same for all rows, so that rows which entered at different steps share every operation: each
  row's own age and own band make its mask.
* Keys and values of the memory are made in blocks of steps, for all layers and rows in one product, and enter a second
  ring one per step.
* The frames are projected once, when a row leaves.

Which rows run when is :mod:`speech.tts.decoding`'s part.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import Weights
from speech.tts.layers import LAYER_NORM_EPS, Network, Parts, layer_norm, linear

# Libraries multiply one to three rows by other routines, which round differently; from four on (seen with MKL) a row
# comes out with the same bits among any number of others. The empty rows cost nothing that can be measured.
LEAST_ROWS = 4


class PncaDecoder(Network):
    """The folded weights of the decoder and one step of it."""

    def __init__(self, weights: Weights, heads: int, frames_per_step: int, mels: int) -> None:
        super().__init__()
        count = weights.count("pnca")
        if count == 0:
            raise weights.error("pnca.0.pnca_attn.w_x_qkv.weight", "is missing")
        blocks = [_Block(weights.under(f"pnca.{i}"), heads) for i in range(count)]
        self.width, self.inner = blocks[0].width, blocks[0].inner
        self.heads = heads
        self.mels = mels
        self.frames_per_step = frames_per_step
        self.blocks = Parts[_Block](blocks)

        out = linear(weights, "dec_out_proj", self.width, frames_per_step * mels)
        norm = layer_norm(weights, "ln", self.width)
        self._keep("frames", *_after_norm(norm, out.weight, out.bias))

        first = linear(weights, "prenet.fcs.0", mels)
        second = linear(weights, "prenet.fcs.3", first.out_features)
        third = linear(weights, "prenet.fcs.6", second.out_features)
        last_frame, last_bias = out.weight[-mels:], out.bias[-mels:]
        fed_back = first.weight @ last_frame
        self._keep("again", *_after_norm(norm, fed_back, first.weight @ last_bias + first.bias))
        self.register_buffer("start", first.bias.clone(), persistent=False)
        self._keep("prenet", second.weight, second.bias)

        entry = linear(weights, "dec_in_proj", None, self.width)
        self.memory_width = entry.in_features - third.out_features
        scale = math.sqrt(self.width)
        from_memory, from_prenet = torch.split(entry.weight, [self.memory_width, third.out_features], dim=1)
        self._keep("enter", from_prenet @ third.weight * scale, None)
        self._keep("memory", from_memory * scale, (entry.bias + from_prenet @ third.bias) * scale)
        self._keep(
            "keys",
            torch.cat([block.memory_weight for block in blocks]),
            torch.cat([block.memory_bias for block in blocks]),
        )

    def _keep(self, name: str, weight: Tensor, bias: Tensor | None) -> None:
        """Keep a matrix as [in, out], the form addmm wants."""
        self.register_buffer(f"{name}_weight", weight.t().contiguous(), persistent=False)
        if bias is not None:
            self.register_buffer(f"{name}_bias", bias.contiguous(), persistent=False)

    def project_memory(self, vectors: Tensor) -> Tensor:
        """Map memory [..., memory width] to its share of the decoder's input [..., width]."""
        return _product(vectors, self.memory_weight, self.memory_bias)

    def project_keys(self, vectors: Tensor) -> Tensor:
        """Map memory [..., memory width] to keys and values of all layers [..., layers, 2 * inner]."""
        made = _product(vectors, self.keys_weight, self.keys_bias)
        return made.reshape(*vectors.shape[:-1], len(self.blocks), -1)

    def project_frames(self, hidden: Tensor) -> Tensor:
        """Map the normalised hidden vectors [steps, width] to mel frames [steps * frames_per_step, mels]."""
        return torch.addmm(self.frames_bias, hidden, self.frames_weight).view(-1, self.mels)

    def step(self, fed_back: Tensor, entering: Tensor, cache: Tensor, place: Tensor, mask: Tensor) -> Tensor:
        """Run one step for all rows; return the normalised hidden vectors [rows, width].

        ``fed_back`` [rows, prenet] is what :meth:`feed_back` made of the step before, ``entering`` [rows, width] the
        memory's share of the input, ``cache`` [layers, 2, ring, rows, 2 * inner] the keys and values (0 own past,
        1 memory), ``place`` int64 [1] the ring's position of this step, ``mask`` [2, ring, rows, 1] 0 or -inf.
        """
        hidden = torch.relu(fed_back)
        hidden = torch.relu(torch.addmm(self.prenet_bias, hidden, self.prenet_weight))
        x = torch.addmm(entering, hidden, self.enter_weight)
        for layer, block in enumerate(self.blocks):
            x = block(x, cache[layer], place, mask)
        return nnf.layer_norm(x, (self.width,), eps=LAYER_NORM_EPS)

    def feed_back(self, hidden: Tensor) -> Tensor:
        """Map hidden vectors [rows, width] to the next step's first prenet layer, before its activation."""
        return torch.addmm(self.again_bias, hidden, self.again_weight)


def _after_norm(norm: nn.LayerNorm, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Fold a layer norm's gain and bias into the linear layer behind it."""
    return weight * norm.weight, bias + weight @ norm.bias


def _product(vectors: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Map vectors [..., in] by ``weight`` [in, out], never fewer than `LEAST_ROWS` of them at once."""
    rows = vectors.reshape(-1, vectors.shape[-1])
    made = torch.addmm(bias, nnf.pad(rows, (0, 0, 0, max(0, LEAST_ROWS - len(rows)))), weight)
    return made[: len(rows)].view(*vectors.shape[:-1], -1)


def _sum_dtype(x: Tensor) -> torch.dtype | None:
    """Return in what to add up over the ring, whose order and size depend on when a row entered and on its neighbours.

    In float64 neither shows in the float32 result, so that on a CPU a row comes out with the same bits in any batch.
    On a GPU it would not help: the matrix products differ from batch to batch.
    """
    return torch.float64 if x.device.type == "cpu" else None


class _Block(Network):
    def __init__(self, weights: Weights, heads: int) -> None:
        super().__init__()
        attention, feed_forward = weights.under("pnca_attn"), weights.under("pos_ffn")
        norm = layer_norm(attention, "layer_norm")
        self.width = norm.normalized_shape[0]
        self.heads = heads
        if self.width % heads:
            raise attention.error("w_x_qkv.weight", f"cannot be split into {heads} heads (decoder_num_heads)")
        qkv = linear(attention, "w_x_qkv", self.width)
        inner = qkv.out_features // 3
        weight, bias = _after_norm(norm, qkv.weight, qkv.bias)
        scale = torch.ones(3 * inner)
        scale[:inner] = 1.0 / math.sqrt(inner // heads)
        self.inner = inner
        self._keep("qkv", weight * scale.unsqueeze(1), bias * scale)
        own, other = linear(attention, "fc_x", inner, self.width), linear(attention, "fc_h", inner, self.width)
        self._keep("out", torch.cat([own.weight, other.weight], dim=1), own.bias + other.bias)
        memory = linear(attention, "w_h_kv", None, 2 * inner)
        self.memory_weight, self.memory_bias = memory.weight.detach(), memory.bias.detach()
        first = linear(feed_forward, "w_1", self.width)
        second = linear(feed_forward, "w_2", first.out_features, self.width)
        self._keep("up", *_after_norm(layer_norm(feed_forward, "layer_norm", self.width), first.weight, first.bias))
        self._keep("down", second.weight, second.bias)

    def _keep(self, name: str, weight: Tensor, bias: Tensor) -> None:
        self.register_buffer(f"{name}_weight", weight.t().contiguous(), persistent=False)
        self.register_buffer(f"{name}_bias", bias.contiguous(), persistent=False)

    def forward(self, x: Tensor, cache: Tensor, place: Tensor, mask: Tensor) -> Tensor:
        rows = x.shape[0]
        inner = self.inner
        normed = nnf.layer_norm(x, (self.width,), eps=LAYER_NORM_EPS)
        qkv = torch.addmm(self.qkv_bias, normed, self.qkv_weight)
        cache[0].index_copy_(0, place, qkv[:, inner:].unsqueeze(0))
        split = (2, cache.shape[1], rows, self.heads, inner // self.heads)
        sums = _sum_dtype(x)
        scores = (cache[..., :inner] * qkv[:, :inner]).view(split).sum(dim=4) + mask
        shares = torch.softmax(scores, dim=1, dtype=sums).to(x.dtype).unsqueeze(4)
        mixed = (cache[..., inner:].view(split) * shares).sum(dim=1, dtype=sums).to(x.dtype)
        both = mixed.view(2, rows, inner).transpose(0, 1).reshape(rows, 2 * inner)
        x = torch.addmm(x + self.out_bias, both, self.out_weight)
        normed = nnf.layer_norm(x, (self.width,), eps=LAYER_NORM_EPS)
        hidden = torch.relu(torch.addmm(self.up_bias, normed, self.up_weight))
        return torch.addmm(x + self.down_bias, hidden, self.down_weight)
