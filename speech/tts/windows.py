"""Mels of any lengths in equal windows: one static shape, exact, with little waste.

All mels are laid on one tape, with gaps between them, and the tape is cut into windows that overlap by the network's
context. What lies in a gap is kept at zero after every convolution, as if each mel ended there (specification
section 3.6); so a gap need only be as wide as the widest single convolution reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from speech.tts.vocoder import Conv, Generator, context

# mel [rows, mels, frames], excitation [rows, samples] or None, inside [rows, frames] -> samples [rows, samples]
WindowRunner = Callable[[Tensor, Tensor | None, Tensor], Tensor]


def gap_frames(generator: Generator) -> int:
    """Return the frames of zeros that keep any single convolution from reading the neighbour on the tape."""
    reach = max(generator.conv_pre.left, generator.conv_pre.right)
    rate = 1
    for stage in generator.stages:
        widest = max(stage.up.left, stage.up.right)
        reach = max(reach, -(-widest // rate))
        rate *= stage.up.scale
        convolutions = [one for one in stage.blocks.modules() if isinstance(one, Conv)]
        widest = max(max(one.left, one.right) for one in convolutions)
        reach = max(reach, -(-widest // rate))
    post = generator.conv_post
    # One frame more for the source's convolutions, which span two steps of at most a frame.
    return max(reach, -(-max(post.left, post.right) // rate)) + 1


class Windows:
    """Cuts mels into windows of ``frames`` for one generator and joins what comes back.

    A batch has ``rows`` windows; the last one of a run is filled up to that if ``fixed``, as an engine wants.
    """

    def __init__(self, generator: Generator, frames: int, rows: int, *, fixed: bool = True) -> None:
        self.left, self.right = context(generator)
        self.gap = gap_frames(generator)
        self.hop_length = generator.hop_length
        self.frames = frames
        self.rows = rows
        self.fixed = fixed
        self.step = frames - self.left - self.right
        if self.step < 1:
            raise ValueError(f"windows of {frames} frames are too small for a context of {self.left}+{self.right}")

    def run(self, runner: WindowRunner, mels: Sequence[Tensor], excitations: Sequence[Tensor] | None) -> list[Tensor]:
        """Return samples of each mel [mels, frames]; ``excitations`` hold [samples] each (NSF)."""
        lengths = [mel.shape[1] for mel in mels]
        starts = self._starts(lengths)
        total = starts[-1] + lengths[-1]
        count = -(-total // self.step)
        size = self.left + count * self.step + self.right
        tape = mels[0].new_zeros(mels[0].shape[0], size)
        inside = mels[0].new_zeros(size)
        source = mels[0].new_zeros(size * self.hop_length) if excitations else None
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            begin, end = self.left + start, self.left + start + length
            tape[:, begin:end] = mels[number]
            inside[begin:end] = 1.0
            if source is not None and excitations:
                source[begin * self.hop_length : end * self.hop_length] = excitations[number]
        made = torch.cat(list(self._batches(runner, tape, inside, source, count)))
        wave = made.flatten()
        hop = self.hop_length
        return [wave[a * hop : (a + n) * hop] for a, n in zip(starts, lengths, strict=True)]

    def _starts(self, lengths: Sequence[int]) -> list[int]:
        starts, place = [], 0
        for length in lengths:
            starts.append(place)
            place += length + self.gap
        return starts

    def _batches(
        self, runner: WindowRunner, tape: Tensor, inside: Tensor, source: Tensor | None, count: int
    ) -> Iterator[Tensor]:
        """Yield the kept samples [rows, step * hop] of batch after batch."""
        hop, keep = self.hop_length, slice(self.left * self.hop_length, (self.left + self.step) * self.hop_length)
        windows = tape.unfold(1, self.frames, self.step).transpose(0, 1)
        masks = inside.unfold(0, self.frames, self.step)
        sources = None if source is None else source.unfold(0, self.frames * hop, self.step * hop)
        for begin in range(0, count, self.rows):
            rows = slice(begin, begin + self.rows)
            size = self.rows if self.fixed else min(self.rows, count - begin)
            batch = [_filled(windows[rows], size), _filled(masks[rows], size)]
            excitation = None if sources is None else _filled(sources[rows], size)
            made = runner(batch[0], excitation, batch[1])
            yield made[: min(self.rows, count - begin), keep].to(torch.float32)


def _filled(part: Tensor, rows: int) -> Tensor:
    """Return the rows, contiguous, filled up with zeros to the static number."""
    if len(part) == rows:
        return part.contiguous()
    return torch.cat([part, part.new_zeros(rows - len(part), *part.shape[1:])])
