"""Running a generator over mels of any lengths, exactly, with bounded memory.

On a CPU nothing is gained by batching, but large buffers cost page faults and cache misses. So each row runs alone,
and each *stage* of the network in equal pieces that overlap by that stage's own context: a few samples of a late stage,
not the 18 to 62 frames of the whole network. A core of its own does each row, or, where there are few, each piece.

On a GPU launches cost, and graphs and engines want one shape. So all rows are cut into windows of one static width
that overlap by the whole network's context, and run in batches (:mod:`speech.tts.windows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from speech.tts.crew import Crew
from speech.tts.vocoder import Generator, Stage, stage_context

# Numbers in one signal of a piece (2 MB): larger ones are mapped anew by the allocator, smaller ones waste on overlap.
PIECE_NUMBERS = 512 * 1024
# A stage is not cut into more pieces than this for the sake of more cores: four times its context each.
LEAST_PIECE = 4
_ALONE = Crew(1)


def each_row(
    generator: Generator, mels: Sequence[Tensor], excite: Callable[[int], Tensor | None], crew: Crew
) -> Iterator[tuple[int, Tensor]]:
    """Yield the number and the samples of each mel [mels, frames] as they are made; begun in order.

    ``excite`` gives a row its excitation [samples] (NSF) or None.
    """
    if len(mels) < 2 * crew.count:
        for number, mel in enumerate(mels):
            yield number, run_stagewise(generator, mel, excite(number), crew=crew)
        return
    yield from crew.each(lambda number: run_stagewise(generator, mels[number], excite(number)), range(len(mels)))


def run_stagewise(
    generator: Generator,
    mel: Tensor,
    excitation: Tensor | None,
    piece_numbers: int = PIECE_NUMBERS,
    crew: Crew = _ALONE,
) -> Tensor:
    """Return samples [samples] of one mel [mels, frames] (and, NSF, excitation [samples])."""
    x = crew.map(generator.enter, [mel.unsqueeze(0)])[0]
    stages = list(generator.stages)
    for stage in stages[:-1]:
        x = _in_pieces(stage, x, excitation, piece_numbers, crew, (0, 0), _unchanged)
    post = generator.conv_post
    wave = _in_pieces(stages[-1], x, excitation, piece_numbers, crew, (post.left, post.right), generator.leave)
    return wave[0]


def _unchanged(made: Tensor) -> Tensor:
    return made


def _in_pieces(
    stage: Stage,
    x: Tensor,
    excitation: Tensor | None,
    piece_numbers: int,
    crew: Crew,
    behind: tuple[int, int],
    finish: Callable[[Tensor], Tensor],
) -> Tensor:
    """Run a stage (and ``finish``, which reads ``behind`` further samples) over x [1, channels, 1, time]."""
    time, scale = x.shape[3], stage.up.scale
    left, right = stage_context(stage, *behind)
    wanted = max(1, piece_numbers // (stage.up.outputs * scale))
    count = max(-(-time // wanted), min(crew.count, time // (LEAST_PIECE * (left + right))))
    size = -(-time // count)
    step = scale * stage.source_step

    def made_of(start: int) -> Tensor:
        end = min(time, start + size)
        first, last = max(0, start - left), min(time, end + right)
        piece = x[:, :, :, first:last]
        source = None if excitation is None else excitation[first * step : last * step].unsqueeze(0)
        made = finish(stage(piece, source, None))
        return made.narrow(-1, (start - first) * scale, (end - start) * scale)

    parts = crew.map(made_of, range(0, time, size))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
