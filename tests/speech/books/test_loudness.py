"""Loudness against other measures, and the gain that reaches the level."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speech.audio import Leveller, encode
from speech.books.loudness import Loudness, Meter, ceiling_for, gain_for

RATE = 16000


def measured(audio, rate=RATE, block=7777, *, true_peak=False):
    meter = Meter(rate, true_peak=true_peak)
    for at in range(0, len(audio), block):
        meter.push(audio[at : at + block])
    return meter.result()


def sine(db, hertz=997.0, seconds=10.0, rate=RATE):
    return (10 ** (db / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def speechlike(seconds=20.0, level=0.1, seed=0):
    """Noise in syllables and pauses: what meters with gates are made for."""
    n = round(seconds * RATE)
    noise = np.random.default_rng(seed).standard_normal(n)
    syllables = np.clip(np.sin(2 * np.pi * 2 * np.arange(n) / RATE), 0, 1) * (np.arange(n) // (2 * RATE) % 4 != 3)
    return (level * noise * syllables).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("db", [-10, -20, -33])
def test_a_sine_measures_what_the_standard_says(rate, db):
    """EBU Tech 3341: a 997 Hz sine of x dBFS on one channel is x − 3.01 LUFS (0 dBFS sine: −3.01 LUFS)."""
    result = measured(sine(db, rate=rate), rate, true_peak=True)
    assert result.lufs == pytest.approx(db - 3.01, abs=0.1)
    assert result.peak_db == pytest.approx(db, abs=0.05)
    assert result.rms_db == pytest.approx(db - 3.01, abs=0.01)
    assert result.true_peak_db == pytest.approx(db, abs=0.2)


def test_pauses_do_not_count_by_the_gate_but_do_in_rms():
    speech = sine(-20, seconds=10)
    spaced = np.concatenate([speech, np.zeros(10 * RATE, np.float32)])
    assert measured(spaced).lufs == pytest.approx(measured(speech).lufs, abs=0.2)
    assert measured(spaced).rms_db == pytest.approx(measured(speech).rms_db - 3.01, abs=0.01)


def test_another_meter_agrees(tmp_path):
    """FFmpeg's loudnorm filter measures by a library of its own (libebur128)."""
    audio = speechlike()
    encode(tmp_path / "a.wav", [audio], rate=RATE, format="wav")
    with av.open(str(tmp_path / "a.wav")) as container:
        stats = av.filter.loudnorm.stats("i=-18:lra=7:tp=-2", container.streams.audio[0])
    other = float(stats.decode().split('"input_i" : "')[1].split('"')[0])
    assert measured(audio).lufs == pytest.approx(other, abs=0.1)


def test_the_noise_floor_is_the_quietest_half_second_and_silence_is_counted():
    rng = np.random.default_rng(0)
    room = (10 ** (-70 / 20) * rng.standard_normal(2 * RATE)).astype(np.float32)
    result = measured(np.concatenate([sine(-20, seconds=6), room]))
    assert result.noise_floor_db == pytest.approx(-70, abs=0.3)
    assert result.silence == pytest.approx(0.25, abs=0.03)


def test_silence_and_nothing_have_no_loudness_and_get_no_gain():
    for audio in (np.zeros(RATE * 5, np.float32), np.zeros(0, np.float32)):
        result = measured(audio)
        assert (result.lufs, result.rms_db, result.peak_db) == (None, -120.0, -120.0)
        assert gain_for(result, "r128") == gain_for(result, "acx") == 0.0


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12))
@settings(max_examples=20, deadline=None)
def test_the_cut_into_blocks_does_not_matter(cuts):
    audio = speechlike(3.0)
    meter, at = Meter(RATE), 0
    for cut in [*cuts, len(audio)]:
        meter.push(audio[at : at + cut])
        at += cut
    meter.push(audio[at:])
    whole = measured(audio, block=len(audio))
    blocks = meter.result()
    assert blocks.lufs == pytest.approx(whole.lufs, abs=0.01)
    assert blocks.rms_db == pytest.approx(whole.rms_db, abs=0.001)
    assert blocks.noise_floor_db == pytest.approx(whole.noise_floor_db, abs=0.001)


def test_integers_and_floats_measure_alike():
    audio = speechlike(5.0)
    ints = np.rint(audio * 32768).clip(-32768, 32767).astype(np.int16)
    assert measured(ints).lufs == pytest.approx(measured(audio).lufs, abs=0.01)


@pytest.mark.parametrize("level", [0.003, 0.05, 0.3])
@pytest.mark.parametrize("block", [1, 1000, 70_000])
def test_the_leveller_keeps_every_sample_and_its_place(level, block):
    audio = speechlike(2.0 if block > 1 else 0.2, level=level)
    leveller = Leveller(RATE, 6.0, -3.0)
    parts = [leveller.push(audio[at : at + block]) for at in range(0, len(audio), block)]
    out = np.concatenate([*parts, leveller.flush()])
    assert out.size == audio.size
    assert np.abs(out).max() <= 10 ** (-3 / 20) + 1e-4
    if np.abs(audio).max() * 2 < 0.7:
        np.testing.assert_allclose(out, audio * 10 ** (6 / 20), atol=1e-5)


def test_levelling_without_gain_and_ceiling_changes_nothing():
    audio = speechlike(1.0)
    leveller = Leveller(RATE, 0.0, None)
    np.testing.assert_array_equal(np.concatenate([leveller.push(audio), leveller.flush()]), audio)


def test_the_gain_brings_a_signal_to_its_level():
    result = measured(speechlike())
    assert result.lufs + gain_for(result, "r128") == pytest.approx(-18.0)
    assert result.lufs + gain_for(result, "r128", -23.0) == pytest.approx(-23.0)
    assert result.rms_db + gain_for(result, "acx") == pytest.approx(-20.0)
    assert gain_for(result, "none") == 0.0
    assert ceiling_for("none") is None


def test_acx_failures_name_rule_and_value():
    bad = Loudness(lufs=-10, true_peak_db=0, peak_db=-0.5, rms_db=-15.25, noise_floor_db=-40, silence=0)
    assert bad.acx_failures() == [
        "RMS is -15.2 dB, not -23 to -18 dB",
        "peak is -0.5 dB, over -3 dB",
        "noise floor is -40.0 dB, over -60 dB",
    ]
    assert Loudness(-20, -3.4, -3.5, -20.0, -90.0, 0.1).acx_failures() == []


def test_values_survive_a_journal():
    result = measured(speechlike(3.0), true_peak=True)
    assert Loudness.from_json(result.to_json()).to_json() == result.to_json()


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
def test_the_true_peak_lies_between_the_samples(rate):
    """A sine at a quarter of the rate, sampled 45° beside its crests: the samples are 3 dB below them."""
    audio = (0.5 * np.sin(np.pi / 2 * np.arange(2 * rate) + np.pi / 4)).astype(np.float32)
    audio *= np.minimum(1, np.minimum(np.arange(audio.size), np.arange(audio.size)[::-1]) / (rate / 10))
    meter = Meter(rate, true_peak=True)
    meter.push(audio)
    result = meter.result()
    assert result.peak_db == pytest.approx(-9.03, abs=0.05)
    assert result.true_peak_db == pytest.approx(-6.02, abs=0.2)
