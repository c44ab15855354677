"""The vocoder reproduces the original: whole, in pieces, in windows, with its noise and without."""

import json
import math

import numpy as np
import pytest
import torch

from speech.tts.crew import Crew
from speech.tts.pcm import to_int16
from speech.tts.stagewise import each_row, run_stagewise
from speech.tts.vocoder import Conv, Upsample, context, load_vocoder
from speech.tts.windows import Windows, gap_frames

WAVE = 1e-4


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


def test_every_case_alone(vocoder, difference):
    for key in vocoder.keys:
        source = vocoder.silent_source(key)
        made = vocoder.generator(vocoder.mel(key)[None], None if source is None else source[None])[0]
        assert difference(made, vocoder.wave(key)) < WAVE, key


@pytest.mark.parametrize("numbers", [pytest.param(1, marks=pytest.mark.slow), 6000, 40_000, 10**9])
def test_pieces_of_any_size_change_nothing(vocoder, numbers, difference):
    # Pieces of one position: short cases only, as each position is then computed some hundred times.
    for key in vocoder.keys if numbers > 1 else ("v1", "v2"):
        made = run_stagewise(vocoder.generator, vocoder.mel(key), vocoder.silent_source(key), numbers)
        assert difference(made, vocoder.wave(key)) < WAVE, key


@pytest.mark.parametrize("frames", [1, 5, 15, 16, 17, 40])
def test_rows_of_any_length_are_what_the_whole_network_makes_of_them(vocoder, frames, difference):
    """They are lengthened to a few lengths for the sake of the convolutions' cache, and nothing of that is heard."""
    key = vocoder.keys[-1]
    mel, source = vocoder.mel(key)[:, :frames], vocoder.silent_source(key)
    source = None if source is None else source[: frames * vocoder.generator.hop_length]
    whole = vocoder.generator(mel[None], None if source is None else source[None])[0]
    made = run_stagewise(vocoder.generator, mel, source, 6000)
    assert made.shape == whole.shape
    assert difference(made, whole.numpy()) < WAVE


def test_rows_of_like_length_need_no_new_convolutions(vocoder):
    """oneDNN compiles one for each new length, which takes longer than a short sentence."""
    key = vocoder.keys[-1]
    shapes = set()
    hooks = [
        module.register_forward_pre_hook(lambda module, given: shapes.add((id(module), given[0].shape)))
        for module in vocoder.generator.modules()
        if isinstance(module, Conv | Upsample)
    ]
    try:
        for frames in (17, 32, 25):
            source = vocoder.silent_source(key)
            source = None if source is None else source[: frames * vocoder.generator.hop_length]
            run_stagewise(vocoder.generator, vocoder.mel(key)[:, :frames], source, 6000)
    finally:
        for hook in hooks:
            hook.remove()
    assert len(shapes) == len(hooks)


@pytest.mark.parametrize("cores", [2, 5])
def test_cores_side_by_side_change_nothing_for_many_rows_and_for_few(vocoder, cores, difference):
    keys = vocoder.keys
    for some in (keys, keys[-1:]):
        sources = [vocoder.silent_source(key) for key in some]
        mels = [vocoder.mel(key) for key in some]
        waves = dict(each_row(vocoder.generator, mels, sources.__getitem__, Crew(cores)))
        assert len(waves) == len(some)
        for number, key in enumerate(some):
            assert difference(waves[number], vocoder.wave(key)) < WAVE, key


@pytest.mark.slow
@pytest.mark.parametrize(("extra", "rows", "fixed"), [(1, 3, True), (7, 2, False), (64, 2, True)])
def test_windows_of_one_shape_change_nothing_in_any_order(vocoder, extra, rows, fixed, difference):
    generator = vocoder.generator
    left, right = context(generator)
    windows = Windows(generator, left + right + extra, rows, fixed=fixed)
    shapes = set()

    def runner(mel, excitation, inside):
        shapes.add((tuple(mel.shape), tuple(inside.shape), None if excitation is None else tuple(excitation.shape)))
        return generator(mel, excitation, inside)

    # One-frame windows of the longest case would take minutes.
    keys = [key for key in vocoder.keys if extra > 1 or len(vocoder.arrays[f"{key}_mel"]) <= 17]
    for order in (keys, keys[::-1]):
        sources = [vocoder.silent_source(key) for key in order]
        waves = windows.run(runner, [vocoder.mel(key) for key in order], sources if vocoder.source else None)
        for key, wave in zip(order, waves, strict=True):
            assert difference(wave, vocoder.wave(key)) < WAVE, key
    assert len({shape[0][1:] for shape in shapes}) == 1
    assert {shape[0][0] for shape in shapes} <= ({rows} if fixed else {1, rows})


def test_a_padded_batch_of_all_cases(vocoder, difference):
    lengths = [vocoder.mel(key).shape[1] for key in vocoder.keys]
    longest, hop = max(lengths) + 5, vocoder.generator.hop_length
    # What lies behind a row's end must not matter, so it is not zero.
    mels = torch.full((len(lengths), vocoder.generator.mels, longest), 3.0)
    sources = torch.zeros(len(lengths), longest * hop) if vocoder.source else None
    for row, key in enumerate(vocoder.keys):
        mels[row, :, : lengths[row]] = vocoder.mel(key)
        if sources is not None:
            sources[row, : lengths[row] * hop] = vocoder.silent_source(key)
    inside = (torch.arange(longest) < torch.tensor(lengths)[:, None]).float()
    made = vocoder.generator(mels, sources, inside)
    for row, key in enumerate(vocoder.keys):
        assert difference(made[row, : lengths[row] * hop], vocoder.wave(key)) < WAVE, key


@pytest.mark.parametrize("vocoder", ["hifigan_noncausal_nsf_v1_16k", "hifigan_v1_nsf_24k"], indirect=True)
def test_recorded_noise_and_phases(vocoder, difference):
    for case in vocoder.cases:
        key = case["key"]
        phase, noise = vocoder.source.draw(case["frames"], case["rng_seed"])
        assert difference(phase, vocoder.arrays[f"{key}_phase"]) < 1e-6
        if case["noise_stored"]:
            assert difference(noise, vocoder.arrays[f"{key}_noise"]) == 0
        excitation = vocoder.excitation(key, phase, noise)
        assert difference(excitation, vocoder.arrays[f"{key}_excitation"][0]) < 1e-4
        made = run_stagewise(vocoder.generator, vocoder.mel(key), excitation)
        assert difference(made, vocoder.arrays[f"{key}_wav"].reshape(-1)) < WAVE


def test_a_long_steady_tone_keeps_its_phase(vocoder_named):
    source = vocoder_named("hifigan_noncausal_nsf_v1_16k").source
    frames, f0 = 6000, 233.3
    noise = torch.zeros(source.harmonics, frames * source.hop_length)
    made = source(torch.full((frames,), f0), torch.ones(frames), torch.zeros(source.harmonics, 1), noise)
    last = torch.arange(frames * source.hop_length - 400, frames * source.hop_length, dtype=torch.float64) + 1
    harmonic = torch.arange(1, source.harmonics + 1)[:, None]
    # f0 as float32 is what the source is given.
    cycles = (float(torch.tensor(f0)) / source.sample_rate * last) % 1.0
    wanted = torch.tanh(source.mix @ (0.1 * torch.sin(2 * math.pi * harmonic * cycles).float()) + source.bias)
    # After 75 seconds a float32 sum would be off by some thousandths of a cycle.
    assert float((made[-400:] - wanted).abs().max()) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("hifigan_noncausal_v1_16k", (18, 18)),
        ("hifigan_v1_16k", (35, 0)),
        ("hifigan_v1_24k", (27, 0)),
        ("hifigan_v1_8k", (62, 0)),
        ("hifigan_v1_48k", (34, 0)),
        ("hifigan_noncausal_nsf_v1_16k", (18, 18)),
        # One frame more than the structure needs: at a cut the source's own convolution would see zeros.
        ("hifigan_v1_nsf_24k", (27, 1)),
    ],
)
def test_every_published_configuration_loads_at_true_size_and_has_its_context(name, wanted, true_size, tmp_path):
    generator, source = load_vocoder(true_size.write_voice(tmp_path, "", name) / "voc")
    assert context(generator) == wanted
    assert gap_frames(generator) <= 16
    mel = torch.randn(generator.mels, 2)
    excitation = None if source is None else torch.zeros(2 * generator.hop_length)
    made = run_stagewise(generator, mel, excitation)
    assert made.shape == (2 * generator.hop_length,)
    assert torch.isfinite(made).all()


def test_both_spellings_of_weight_norm_and_none_load_alike(vocoder_fixture_copy, difference):
    folder, checkpoint, save = vocoder_fixture_copy
    mel = torch.randn(1, 80, 9, generator=torch.Generator().manual_seed(3))
    usual = load_vocoder(folder)[0](mel)
    old = checkpoint["model"]["generator"]
    newer = {
        key.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): value
        for key, value in old.items()
    }
    save({"model": {"generator": newer}})
    assert difference(load_vocoder(folder)[0](mel), usual) == 0
    plain = {key: value for key, value in old.items() if "weight_" not in key}
    for key in [key for key in old if key.endswith("weight_v")]:
        vectors, gains = old[key], old[key.replace("weight_v", "weight_g")]
        norms = vectors.flatten(1).norm(dim=1).reshape(gains.shape)
        plain[key.replace("weight_v", "weight")] = gains * vectors / norms
    save({"model": {"generator": plain}})
    assert difference(load_vocoder(folder)[0](mel), usual) < 1e-5


@pytest.mark.parametrize("vocoder", ["hifigan_noncausal_v1_16k", "hifigan_v1_16k"], indirect=True)
def test_sixteen_bit_numbers_are_the_originals(vocoder):
    made = to_int16(vocoder.arrays["v0_wav"].reshape(-1))
    assert np.array_equal(made, vocoder.arrays["v0_pcm16"].reshape(-1))


def test_sixteen_bit_numbers_never_wrap():
    assert to_int16(np.array([1.0, 1.5, -1.0, -1.5, 0.99999])).tolist() == [32767, 32767, -32768, -32768, 32767]


def test_the_fixtures_cover_causal_and_noncausal_with_and_without_source(vocoder_named):
    found = set()
    for name in ("hifigan_v1_16k", "hifigan_noncausal_v1_16k", "hifigan_noncausal_nsf_v1_16k", "hifigan_v1_nsf_24k"):
        config = vocoder_named(name).generator.config
        found.add((config.causal, config.nsf))
    assert json.dumps(sorted(found)) == "[[false, false], [false, true], [true, false], [true, true]]"
