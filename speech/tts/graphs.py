"""The decoder's step as a CUDA graph: one launch instead of some two hundred.

A graph is captured for a number of rows and a ring size and reads and writes fixed buffers, so sizes are rounded up
(rows to a power of two, the ring to a multiple of eight) and the buffers are kept for the next batch.
"""

from __future__ import annotations

import torch

from speech.tts.decoder import PncaDecoder
from speech.tts.decoding import Buffers, BufferSource

RING_MULTIPLE = 8
WARM_UP_STEPS = 3


def rounded_rows(rows: int) -> int:
    """Return the next power of two."""
    return 1 << (rows - 1).bit_length()


def rounded_ring(ring: int) -> int:
    """Return the next multiple of eight."""
    return -(-ring // RING_MULTIPLE) * RING_MULTIPLE


class GraphedBuffers(Buffers):
    """Buffers whose step is captured at the first use and replayed from then on."""

    def __init__(self, decoder: PncaDecoder, rows: int, ring: int) -> None:
        super().__init__(decoder, rows, ring)
        self.graph = self._capture()

    def _capture(self) -> torch.cuda.CUDAGraph:
        # Warm-up on a side stream, as captures need: libraries allocate their workspaces at the first calls.
        with torch.cuda.device(self.cache.device):
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP_STEPS):
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
        return graph

    def run(self, steps: int) -> None:
        """Replay some steps inside one block."""
        for _ in range(steps):
            self.graph.replay()


class GraphedSource(BufferSource):
    """Keeps captured buffers by size; a run has at most one of each size in use."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], GraphedBuffers] = {}

    def get(self, decoder: PncaDecoder, rows: int, ring: int) -> Buffers:
        """Return captured buffers of the rounded size."""
        key = (rounded_rows(rows), rounded_ring(ring))
        if key not in self._kept:
            self._kept[key] = GraphedBuffers(decoder, *key)
        return self._kept[key]

    def trim(self) -> None:
        """Forget all captured buffers: a graph's private memory is given back with the graph only."""
        self._kept.clear()
