"""Continuous batching of the decoder: rows leave when they are done and waiting ones take their places.

Every row's length is known before the first step (its durations are), so the whole schedule is: run until the next row
ends or the block of prepared steps does, then let rows leave and enter. Between two such events a step touches only
buffers that stay where they are, which is what a CUDA graph wants.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from speech.tts.decoder import LEAST_ROWS, PncaDecoder

# Steps prepared at a time: keys and values of 32 rows for 32 steps are 13 MB at true size.
BLOCK = 32


@dataclass(frozen=True)
class DecoderInput:
    """One row: memory float32 [steps, width] and its band in steps (0 and more)."""

    memory: Tensor
    band: int


@dataclass
class _Row:
    """A row while it is being decoded: its place among the inputs, its start, and what it has put out so far.

    ``place`` is where its memory begins among all memories.
    """

    number: int
    place: int
    steps: int
    band: int
    began: int
    parts: list[Tensor] = field(default_factory=list)

    @property
    def ends(self) -> int:
        """The global step after its last one."""
        return self.began + self.steps


class Buffers:
    """The tensors that a step reads and writes, for a fixed number of rows and ring size."""

    def __init__(self, decoder: PncaDecoder, rows: int, ring: int) -> None:
        some: Tensor = decoder.memory_weight
        layers, inner = len(decoder.blocks), decoder.inner
        self.decoder = decoder
        self.rows, self.ring = rows, ring
        self.cache = some.new_zeros(layers, 2, ring, rows, 2 * inner)
        self.fed_back = some.new_zeros(rows, decoder.start.shape[0])
        self.entering = some.new_zeros(BLOCK, rows, decoder.width)
        self.keys = some.new_zeros(BLOCK, rows, layers, 2 * inner)
        self.masks = some.new_zeros(BLOCK, 2, ring, rows, 1)
        self.hidden = some.new_zeros(BLOCK, rows, decoder.width)
        # The step inside the block, and the ring's positions of this step and of the memory key that enters.
        self.index = torch.zeros(1, dtype=torch.int64, device=some.device)
        self.place = torch.zeros_like(self.index)
        self.ahead = torch.zeros_like(self.index)

    def seek(self, now: int) -> None:
        """Set the counters to a global step."""
        self.index.fill_(now % BLOCK)
        self.place.fill_(now % self.ring)
        self.ahead.fill_((now - 1) % self.ring)

    def step(self) -> None:
        """Run the step that the counters name and move them on; no host value is read or written."""
        keys = self.keys.index_select(0, self.index)[0].transpose(0, 1).unsqueeze(1)
        self.cache[:, 1].index_copy_(1, self.ahead, keys)
        entering = self.entering.index_select(0, self.index)[0]
        mask = self.masks.index_select(0, self.index)[0]
        hidden = self.decoder.step(self.fed_back, entering, self.cache, self.place, mask)
        self.hidden.index_copy_(0, self.index, hidden.unsqueeze(0))
        self.fed_back.copy_(self.decoder.feed_back(hidden))
        self.ahead.copy_(self.place)
        self.place.add_(1).remainder_(self.ring)
        self.index.add_(1).remainder_(BLOCK)

    def run(self, steps: int) -> None:
        """Run some steps inside one block."""
        for _ in range(steps):
            self.step()

    def take_over(self, other: Buffers, rows: Sequence[int]) -> None:
        """Go on with some of another buffer's rows, at the start of a block."""
        chosen = torch.tensor(rows, device=self.cache.device)
        self.cache[:, :, :, : len(rows)] = other.cache.index_select(3, chosen)
        self.fed_back[: len(rows)] = other.fed_back.index_select(0, chosen)


class BufferSource:
    """Gives out buffers; this one makes them as large as wanted, with a few rows at least."""

    def get(self, decoder: PncaDecoder, rows: int, ring: int) -> Buffers:
        """Return buffers for at least so many rows and ring places, with finite numbers in them."""
        return Buffers(decoder, max(rows, LEAST_ROWS), ring)

    def trim(self) -> None:
        """Forget the buffers that are kept for later runs; none here. Call it between two runs only."""


class Decoding:
    """A run of the decoder over any number of rows, at most ``slots`` at a time."""

    def __init__(self, decoder: PncaDecoder, inputs: Sequence[DecoderInput], slots: int, source: BufferSource) -> None:
        self.decoder = decoder
        self.source = source
        # All memories in one, so that a block's steps are gathered at once; a step behind a row's end reads the zeros.
        zeros = decoder.memory_weight.new_zeros(1, decoder.memory_weight.shape[0])
        self.memory = torch.cat([*(one.memory for one in inputs), zeros])
        self.places = list(itertools.accumulate((len(one.memory) for one in inputs), initial=0))
        # The longest first, so that few slots are left empty at the end; popped from the back.
        self.waiting = sorted(enumerate(inputs), key=lambda one: len(one[1].memory))
        ring = 1 + max((one.band for one in inputs), default=0)
        self.buffers = source.get(decoder, max(1, min(slots, len(inputs))), ring)
        self.ring = self.buffers.ring
        self.slots: list[_Row | None] = [None] * self.buffers.rows
        self.now = 0

    def finished(self) -> Iterator[tuple[int, Tensor]]:
        """Run to the end; yield each row's number and its normalised hidden vectors [steps, width] as it leaves."""
        while self.waiting or any(self.slots):
            if self.now % BLOCK == 0:
                self._shrink()
            self._enter()
            self._prepare_masks()
            running = [row for row in self.slots if row is not None]
            steps = min(BLOCK - self.now % BLOCK, min(row.ends for row in running) - self.now)
            self.buffers.seek(self.now)
            self.buffers.run(steps)
            self.now += steps
            yield from self._leave()

    def _shrink(self) -> None:
        """Start a block: drop empty slots that nobody waits for, and prepare the running rows' steps."""
        running = [slot for slot, row in enumerate(self.slots) if row is not None]
        if running and not self.waiting and len(running) < len(self.slots):
            smaller = self.source.get(self.decoder, len(running), self.ring)
            if smaller.rows < len(self.slots):
                smaller.take_over(self.buffers, running)
                self.buffers = smaller
                self.slots = [self.slots[slot] for slot in running] + [None] * (smaller.rows - len(running))
                running = list(range(len(running)))
        if running:
            self._prepare(running, self.now)

    def _enter(self) -> None:
        entering = []
        for slot, row in enumerate(self.slots):
            if row is None and self.waiting:
                number, one = self.waiting.pop()
                self.slots[slot] = _Row(number, self.places[number], len(one.memory), one.band, self.now)
                entering.append(slot)
        if not entering:
            return
        self._prepare(entering, self.now)
        buffers = self.buffers
        buffers.fed_back[entering] = self.decoder.start
        # The memory's band but its last key, which enters by the first step.
        first = self._memory(entering, self.now, self.ring - 1)
        places = (torch.arange(self.ring - 1, device=first.device) + self.now) % self.ring
        keys = self.decoder.project_keys(first).permute(2, 0, 1, 3)
        slots = torch.tensor(entering, device=first.device)
        buffers.cache[:, 1, places[:, None], slots[None, :]] = keys

    def _prepare(self, slots: Sequence[int], now: int) -> None:
        """Project the memory of some rows for the rest of the block that begins or goes on at ``now``."""
        inside = now % BLOCK
        count = BLOCK - inside
        rows = torch.tensor(slots, device=self.buffers.keys.device)
        at = self._memory(slots, now, count)
        ahead = self._memory(slots, now + self.ring - 1, count)
        self.buffers.entering[inside:, rows] = self.decoder.project_memory(at)
        self.buffers.keys[inside:, rows] = self.decoder.project_keys(ahead)

    def _memory(self, slots: Sequence[int], start: int, count: int) -> Tensor:
        """Return memory [count, slots, width] from a global step on, zero behind each row's end."""
        rows = [row for slot in slots if (row := self.slots[slot]) is not None]
        place, began, ends = torch.tensor([(row.place, row.began, row.ends) for row in rows]).unbind(1)
        step = torch.arange(start, start + count).unsqueeze(1)
        index = torch.where(step < ends, place + step - began, len(self.memory) - 1)
        return self.memory.index_select(0, index.flatten().to(self.memory.device)).view(count, len(rows), -1)

    def _prepare_masks(self) -> None:
        """Fill in where each row may look, 0 or -inf, from this step to the end of the block."""
        buffers, ring = self.buffers, self.ring
        device = buffers.masks.device
        rows = [(row.began, row.band, row.steps) if row else (self.now, 0, 1) for row in self.slots]
        began, band, length = torch.tensor(rows, device=device).unbind(1)
        inside = self.now % BLOCK
        now = torch.arange(self.now, self.now + BLOCK - inside, device=device)[:, None, None]
        place = torch.arange(ring, device=device)[None, :, None]
        step = now - began
        past = (now - place) % ring <= torch.minimum(band, step)
        # A row that has ended goes on looking at one key, so that no number becomes undefined.
        future = (place - now) % ring <= torch.minimum(band, (length - 1 - step).clamp(min=0))
        seen = torch.stack([past, future], dim=1).unsqueeze(4)
        buffers.masks[inside:] = torch.where(seen, 0.0, -math.inf)

    def _leave(self) -> Iterator[tuple[int, Tensor]]:
        """Collect what the running rows put out since the block's start, if they end here or the block does."""
        block_ends = self.now % BLOCK == 0
        block_start = (self.now - 1) // BLOCK * BLOCK
        hidden = self.buffers.hidden.clone() if block_ends else self.buffers.hidden
        for slot, row in enumerate(self.slots):
            if row is None or not (block_ends or row.ends == self.now):
                continue
            row.parts.append(hidden[max(row.began, block_start) - block_start : self.now - block_start, slot])
            if row.ends == self.now:
                self.slots[slot] = None
                yield row.number, torch.cat(row.parts)


def decode(
    decoder: PncaDecoder, inputs: Sequence[DecoderInput], slots: int, source: BufferSource | None = None
) -> list[Tensor]:
    """Decode rows of any lengths; return mel frames [steps * frames_per_step, mels] in the order of ``inputs``."""
    results: dict[int, Tensor] = {}
    for number, hidden in Decoding(decoder, inputs, slots, source or BufferSource()).finished():
        results[number] = decoder.project_frames(hidden)
    return [results[number] for number in range(len(inputs))]
