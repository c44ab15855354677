"""The acoustic model reproduces the original, alone and in every kind of batch."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.tts.acoustic import AcousticInput, load_acoustic
from speech.tts.decoding import DecoderInput, decode

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "sambert-hifigan"
EXACT = 1e-5
MEL = 1e-4


@torch.inference_mode()
def stages_of(case, order):
    """Everything the model computes on the way, for lines in one padded batch: a dict of arrays for each line."""
    model, inputs = case.model, [case.inputs()[n] for n in order]
    ids = [one.ids for one in inputs]
    encoded = model.encode(ids)
    lengths = torch.tensor(encoded.lengths)
    mask = (torch.arange(encoded.text.shape[1]) < lengths[:, None])[:, :, None].float()
    prosody = model.adaptor(encoded.text, encoded.speaker, encoded.emotion, lengths, mask)
    memories, _ = model.memories(inputs)
    decoded = decode(model.decoder, [DecoderInput(one.vectors, one.band) for one in memories], 8)
    found = {}
    for row, number in enumerate(order):
        length = encoded.lengths[row]
        found[number] = {
            "enc_out": model.encoder(*padded(case, [number]))[0]
            if case.has(number, "inter_len")
            else encoded.text[row, :length],
            "pitch": prosody.pitch[row, :length],
            "energy": prosody.energy[row, :length],
            "log_dur": prosody.log_duration[row, :length],
            "dur": memories[row].durations,
            "band": memories[row].band,
            "frames": memories[row].frames,
            "memory": memories[row].vectors,
            "LR_text": memories[row].repeated_text,
            "dec_mel": decoded[row][: memories[row].frames],
        }
    return found


def padded(case, order):
    ids = [torch.from_numpy(case.inputs()[n].ids.linguistic) for n in order]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True), torch.tensor([len(one) for one in ids])


def check_stages(case, found, difference):
    for number, arrays in found.items():
        for key in ("dur", "band", "frames"):
            assert np.array_equal(arrays[key], case.array(number, key)), (number, key)
        for key in ("enc_out", "pitch", "energy", "log_dur", "memory", "LR_text"):
            assert difference(arrays[key], case.array(number, key)) < EXACT, (number, key)
        assert difference(arrays["dec_mel"], case.array(number, "dec_mel")) < MEL, number


def test_every_stage_of_a_line_alone(acoustic, difference):
    for number in range(len(acoustic.lines)):
        check_stages(acoustic, stages_of(acoustic, [number]), difference)


def test_every_stage_in_one_padded_batch_in_any_order(acoustic, difference):
    order = list(range(len(acoustic.lines)))
    for seed in range(2):
        random.Random(seed).shuffle(order)
        check_stages(acoustic, stages_of(acoustic, order), difference)


@pytest.mark.parametrize("slots", [1, 2, 3, 8])
def test_mels_when_rows_enter_and_leave_at_different_steps(acoustic, slots, difference):
    numbers = [n % len(acoustic.lines) for n in range(2 * len(acoustic.lines))]
    inputs = acoustic.inputs()
    for number, spoken in zip(numbers, acoustic.model([inputs[n] for n in numbers], slots), strict=True):
        assert difference(spoken.mel, acoustic.array(number, "post_mel")) < MEL
        assert spoken.durations.sum() == len(spoken.mel)
        if acoustic.has(number, "post_mel_denorm"):
            made = acoustic.model.denormalise(spoken.mel)
            # f0 in Hz is a hundred times as large as a normalised mel.
            assert difference(made[:, -2], acoustic.array(number, "post_mel_denorm")[:, -2]) < 100 * MEL
            assert np.array_equal(made[:, -1], acoustic.array(number, "post_mel_denorm")[:, -1])


@given(numbers=st.lists(st.integers(0, 4), min_size=1, max_size=12), slots=st.integers(1, 6))
@settings(max_examples=8, deadline=None)
def test_any_mix_of_rows_and_slots(acoustic_named, difference, numbers, slots):
    case = acoustic_named("sambert_multisp_emo_16k")
    inputs = case.inputs()
    for number, spoken in zip(numbers, case.model([inputs[n] for n in numbers], slots), strict=True):
        assert difference(spoken.mel, case.array(number, "post_mel")) < MEL


def test_a_filled_pause_counts_with_the_symbol_behind_it(acoustic_named, difference):
    case = acoustic_named("sambert_fp_8k")
    spoken = case.model(case.inputs(), 8)
    inserted = 0
    for number, one in enumerate(spoken):
        symbols = len(case.array(number, "fp_probs"))
        assert len(one.durations) == symbols
        inserted += int(case.array(number, "inter_len")) - symbols
        classes = case.array(number, "fp_probs").argmax(axis=1)
        places = np.repeat(np.arange(symbols), np.where(classes > 0, 4, 1))
        wanted = np.zeros(symbols, dtype=np.int64)
        np.add.at(wanted, places, case.array(number, "dur"))
        assert np.array_equal(one.durations, wanted)
        probabilities = case.model.pauses(case.model.encoder(*padded(case, [number])))[0]
        assert difference(probabilities, case.array(number, "fp_probs")) < EXACT
    assert inserted > 0


def test_speed_scales_durations_and_one_changes_nothing(acoustic):
    inputs = acoustic.inputs()
    usual = acoustic.model(inputs, 4)
    same = acoustic.model([AcousticInput(one.ids, 1.0) for one in inputs], 4)
    slow = acoustic.model([AcousticInput(one.ids, 0.5) for one in inputs], 4)
    for one, two, long in zip(usual, same, slow, strict=True):
        assert torch.equal(one.mel, two.mel)
        assert len(long.mel) == pytest.approx(2 * len(one.mel), abs=len(one.durations))


def test_lines_of_one_batch_may_have_different_speeds(acoustic_named, difference):
    case = acoustic_named("sambert_plain_16k")
    inputs = [
        AcousticInput(one.ids, speed) for one, speed in zip(case.inputs(), (0.7, 1.0, 2.0, 1.3, 0.5), strict=True)
    ]
    together = case.model(inputs, 3)
    for one, spoken in zip(inputs, together, strict=True):
        alone = case.model([one], 1)[0]
        assert np.array_equal(alone.durations, spoken.durations)
        assert difference(alone.mel, spoken.mel) < MEL


def test_all_durations_zero_give_no_frames(acoustic_named):
    case = acoustic_named("sambert_plain_16k")
    model = load_acoustic(FIXTURES / "sambert_plain_16k" / "am")
    model.adaptor.duration_predictor.fc.bias.fill_(-100.0)
    spoken = model(case.inputs(), 4)
    assert [one.mel.shape for one in spoken] == [(0, 80)] * len(case.lines)
    assert not any(one.durations.any() for one in spoken)


def test_no_lines_give_nothing(acoustic):
    assert acoustic.model([], 4) == []
