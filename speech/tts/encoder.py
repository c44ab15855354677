"""The text encoder: symbol ids to one vector per symbol (specification section 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as nnf

from speech.tts.checkpoint import Weights
from speech.tts.layers import Network, Parts, embedding, layer_norm, linear, valid_positions

PHONE_TABLES = ("sy_emb", "tone_emb", "syllable_flag_emb", "ws_emb")


class TextEncoder(Network):
    """Embeddings, position table, pre-norm transformer blocks, projection."""

    def __init__(self, weights: Weights, heads: int, *, bytes_in: bool) -> None:
        super().__init__()
        names = ("byte_index_emb",) if bytes_in else PHONE_TABLES
        tables = [embedding(weights, names[0])]
        width = tables[0].embedding_dim
        tables += [embedding(weights, name, width) for name in names[1:]]
        self.tables = Parts[nn.Embedding](tables)
        encoder = weights.under("ling_enc")
        positions = encoder.take("position_enc.position_enc", 1, None, width)[0]
        self.register_buffer("positions", positions, persistent=False)
        count = encoder.count("fft")
        if count == 0:
            raise encoder.error("fft.0.slf_attn.w_qkv.weight", "is missing")
        self.blocks = Parts[_Block](_Block(encoder.under(f"fft.{i}"), heads) for i in range(count))
        self.ln = layer_norm(encoder, "ln", self.blocks[-1].width)
        self.projection = linear(weights, "ling_proj", self.blocks[-1].width)
        # The square root of the attention's width, not of the embedding's.
        self.scale = float(self.blocks[0].width) ** 0.5
        self.width = self.projection.out_features

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Encode int64 [rows, symbols, tables] (right-padded with any valid id) to [rows, symbols, width].

        Padded positions of the result are zero.
        """
        symbols = ids.shape[1]
        x = sum(table(ids[:, :, column]) for column, table in enumerate(self.tables)) * self.scale
        x = x + self._positions(symbols)
        inside = valid_positions(lengths, symbols)
        mask = inside.unsqueeze(2).to(x.dtype)
        keys = inside[:, None, None, :]
        for block in self.blocks:
            x = block(x, keys, mask)
        return self.projection(self.ln(x)) * mask

    def _positions(self, count: int) -> Tensor:
        table: Tensor = self.positions
        have = table.shape[0]
        if count <= have:
            return table[:count]
        # The table's own rows are kept for the positions it has, so that a line's result does not depend on a
        # longer neighbour in the batch.
        more = position_table(count, table.shape[1])[have:].to(table)
        return torch.cat([table, more])


def position_table(count: int, width: int) -> Tensor:
    """Return float32 [count, width]: sines and cosines of p / 10000^(j / (width/2 - 1)), p counted from 1."""
    half = width // 2
    rates = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / (half - 1))
    angles = torch.arange(1, count + 1, dtype=torch.float64).unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(torch.float32)


class _Block(Network):
    def __init__(self, weights: Weights, heads: int) -> None:
        super().__init__()
        attention, feed_forward = weights.under("slf_attn"), weights.under("pos_ffn")
        self.norm = layer_norm(attention, "layer_norm")
        self.qkv = linear(attention, "w_qkv", self.norm.normalized_shape[0])
        self.out = linear(attention, "fc", self.qkv.out_features // 3)
        self.width = self.out.out_features
        self.heads = heads
        if self.qkv.out_features % (3 * heads):
            raise attention.error("w_qkv.weight", f"cannot be split into {heads} heads (encoder_num_heads)")
        self.ffn_norm = layer_norm(feed_forward, "layer_norm", self.width)
        kernel = feed_forward.take("w_1.weight", None, self.width, None)
        if kernel.shape[2] % 2 == 0:
            raise feed_forward.error("w_1.weight", "has an even kernel")
        self.reach = kernel.shape[2] // 2
        # As one matrix over the neighbouring positions laid side by side: faster than a convolution of short rows.
        flat = kernel.permute(0, 2, 1).reshape(kernel.shape[0], -1).contiguous()
        self.kernel = nn.Parameter(flat, requires_grad=False)
        self.bias = nn.Parameter(feed_forward.take("w_1.bias", kernel.shape[0]), requires_grad=False)
        self.w_2 = linear(feed_forward, "w_2", kernel.shape[0], self.width)

    def forward(self, x: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        attended = self.out(self._attend(self.norm(x), keys))
        # Block 0 widens from the embeddings and so has no residual.
        x = (attended + x if attended.shape == x.shape else attended) * mask
        # The layer norm of a zeroed position is its bias: zero it again before the convolution reads it.
        hidden = torch.relu(nnf.linear(self._neighbours(self.ffn_norm(x) * mask), self.kernel, self.bias))
        return (self.w_2(hidden) + x) * mask

    def _attend(self, x: Tensor, keys: Tensor) -> Tensor:
        rows, symbols, _ = x.shape
        split = self.qkv(x).view(rows, symbols, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nnf.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=keys)
        return mixed.transpose(1, 2).reshape(rows, symbols, -1)

    def _neighbours(self, x: Tensor) -> Tensor:
        symbols = x.shape[1]
        padded = nnf.pad(x, (0, 0, self.reach, self.reach))
        return torch.cat([padded[:, k : k + symbols] for k in range(2 * self.reach + 1)], dim=2)
