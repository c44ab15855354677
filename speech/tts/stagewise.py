"""Running a generator over mels of any lengths, exactly, with bounded memory.

On a CPU nothing is gained by batching (a single row keeps every core busy), but large buffers cost page faults and
cache misses. So each row runs alone, and each *stage* of the network in equal pieces that overlap by that stage's own
context: a few samples of a late stage, not the 18 to 62 frames of the whole network.

On a GPU launches cost, and graphs and engines want one shape. So all rows are cut into windows of one static width
that overlap by the whole network's context, and run in batches (:mod:`speech.tts.windows`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from speech.tts.vocoder import Generator, Stage, stage_context

# Numbers in one signal of a piece (2 MB): larger ones are mapped anew by the allocator, smaller ones waste on overlap.
PIECE_NUMBERS = 512 * 1024


def run_stagewise(
    generator: Generator, mel: Tensor, excitation: Tensor | None, piece_numbers: int = PIECE_NUMBERS
) -> Tensor:
    """Return samples [samples] of one mel [mels, frames] (and, NSF, excitation [samples])."""
    x = generator.enter(mel.unsqueeze(0))
    stages = list(generator.stages)
    for stage in stages[:-1]:
        x = _in_pieces(stage, x, excitation, piece_numbers, (0, 0), _unchanged)
    post = generator.conv_post
    wave = _in_pieces(stages[-1], x, excitation, piece_numbers, (post.left, post.right), generator.leave)
    return wave[0]


def _unchanged(made: Tensor) -> Tensor:
    return made


def _in_pieces(
    stage: Stage,
    x: Tensor,
    excitation: Tensor | None,
    piece_numbers: int,
    behind: tuple[int, int],
    finish: Callable[[Tensor], Tensor],
) -> Tensor:
    """Run a stage (and ``finish``, which reads ``behind`` further samples) over x [1, channels, 1, time]."""
    time, scale = x.shape[3], stage.up.scale
    left, right = stage_context(stage, *behind)
    wanted = max(1, piece_numbers // (stage.up.outputs * scale))
    count = -(-time // wanted)
    size = -(-time // count)
    step = scale * stage.source_step
    parts = []
    for start in range(0, time, size):
        end = min(time, start + size)
        first, last = max(0, start - left), min(time, end + right)
        piece = x[:, :, :, first:last]
        source = None if excitation is None else excitation[first * step : last * step].unsqueeze(0)
        made = finish(stage(piece, source, None))
        parts.append(made.narrow(-1, (start - first) * scale, (end - start) * scale))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
