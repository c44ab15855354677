"""Running a generator over mels of any lengths, exactly, with bounded memory.

On a CPU nothing is gained by batching, but large buffers cost page faults and cache misses. So each row runs alone,
and each *stage* of the network in equal pieces that overlap by that stage's own context: a few samples of a late stage,
not the 18 to 62 frames of the whole network. A core of its own does each row, or, where there are few, each piece.

oneDNN compiles a convolution anew for every length, 0.4 ms each, and keeps some of them: sentences of all lengths cost
the demo voice a fifth of its time. So rows are lengthened to a few lengths, and what lies behind their end is kept at
zero, as in a batch (specification section 3.6); all pieces of a stage have one length, too.

On a GPU launches cost, and graphs and engines want one shape. So all rows are cut into windows of one static width
that overlap by the whole network's context, and run in batches (:mod:`speech.tts.windows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as nnf

from speech.tts.crew import Crew
from speech.tts.vocoder import Generator, Stage, stage_context

# Numbers in one signal of a piece (2 MB): larger ones are mapped anew by the allocator, smaller ones waste on overlap.
PIECE_NUMBERS = 512 * 1024
# A stage is not cut into more pieces than this for the sake of more cores: four times its context each.
LEAST_PIECE = 4
FRAMES_STEP = 16
"""Rows are lengthened to a multiple of this: 3 percent of a sentence, for which oneDNN has what it needs at hand."""
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
    frames = mel.shape[1]
    more = -frames % FRAMES_STEP
    mel = nnf.pad(mel, (0, more))
    if excitation is not None:
        excitation = nnf.pad(excitation, (0, more * generator.hop_length))
    x = crew.map(lambda whole: generator.enter(whole, frames), [mel.unsqueeze(0)])[0]
    stages, inside = list(generator.stages), frames
    for stage in stages[:-1]:
        x = _in_pieces(stage, x, inside, excitation, piece_numbers, crew, (0, 0), _unchanged)
        inside *= stage.up.scale
    post = generator.conv_post
    behind = (post.left, post.right)
    wave = _in_pieces(stages[-1], x, inside, excitation, piece_numbers, crew, behind, generator.leave)
    return wave[0, : frames * generator.hop_length]


def _unchanged(made: Tensor) -> Tensor:
    return made


def _in_pieces(
    stage: Stage,
    x: Tensor,
    inside: int,
    excitation: Tensor | None,
    piece_numbers: int,
    crew: Crew,
    behind: tuple[int, int],
    finish: Callable[[Tensor], Tensor],
) -> Tensor:
    """Run a stage (and ``finish``, which reads ``behind`` further samples) over x [1, channels, 1, time].

    ``inside`` positions of x are the row's; the others are zero, and so are their samples.
    """
    time, scale = x.shape[3], stage.up.scale
    left, right = stage_context(stage, *behind)
    wanted = max(1, piece_numbers // (stage.up.outputs * scale))
    count = max(-(-time // wanted), min(crew.count, time // (LEAST_PIECE * (left + right))))
    starts, width = _equal_pieces(time, count, left + right)
    bounds = [0, *(start + left for start in starts[1:]), time]
    step = scale * stage.source_step

    def made_of(number: int) -> Tensor:
        start = starts[number]
        piece = x[:, :, :, start : start + width]
        source = None if excitation is None else excitation[start * step : (start + width) * step].unsqueeze(0)
        own = max(0, inside - start)
        made = finish(stage(piece, source, own * scale if own < width else None))
        first, last = bounds[number], bounds[number + 1]
        return made.narrow(-1, (first - start) * scale, (last - first) * scale)

    parts = crew.map(made_of, range(len(starts)))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def _equal_pieces(time: int, count: int, overlap: int) -> tuple[list[int], int]:
    """Return the starts and the width of at most ``count`` pieces of one width that cover ``time`` positions.

    Neighbours have ``overlap`` positions in common, the last two perhaps more.
    """
    width = -(-(time + (count - 1) * overlap) // count)
    if width >= time:
        return [0], time
    return [*range(0, time - width, width - overlap), time - width], width
