"""The schedule of continuous batching: sizes of buffers, and rows in buffers larger than wanted."""

import pytest
import torch

from speech.tts.decoding import Buffers, BufferSource, DecoderInput, decode
from speech.tts.graphs import rounded_ring, rounded_rows


class Rounded(BufferSource):
    """Gives buffers of the sizes a GPU uses, kept and used again, as there."""

    def __init__(self):
        self.kept = {}
        self.sizes = []

    def get(self, decoder, rows, ring):
        key = (rounded_rows(rows), rounded_ring(ring))
        self.sizes.append(key)
        if key not in self.kept:
            self.kept[key] = Buffers(decoder, *key)
        return self.kept[key]


@pytest.mark.parametrize("slots", [2, 5])
@torch.inference_mode()
def test_rounded_and_reused_buffers_change_nothing(acoustic, slots, difference):
    memories, _ = acoustic.model.memories(acoustic.inputs())
    inputs = [DecoderInput(one.vectors, one.band) for one in memories]
    source = Rounded()
    for _ in range(2):
        for number, mel in enumerate(decode(acoustic.model.decoder, inputs, slots, source)):
            frames = memories[number].frames
            assert difference(mel[:frames], acoustic.array(number, "dec_mel")) < 1e-4
    assert all(rows & (rows - 1) == 0 and ring % 8 == 0 for rows, ring in source.sizes)


@torch.inference_mode()
def test_buffers_shrink_when_rows_have_left(acoustic_named):
    case = acoustic_named("sambert_plain_16k")
    memories, _ = case.model.memories(case.inputs())
    source = Rounded()
    decode(case.model.decoder, [DecoderInput(one.vectors, one.band) for one in memories], 8, source)
    rows = [size[0] for size in source.sizes]
    assert rows[0] == 8
    assert rows[-1] == 1


def test_sizes_are_rounded_up():
    assert [rounded_rows(rows) for rows in (1, 2, 3, 5, 64, 65)] == [1, 2, 4, 8, 64, 128]
    assert [rounded_ring(ring) for ring in (1, 8, 9)] == [8, 8, 16]
