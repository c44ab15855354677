"""What is written can be read by another reader: same length, same rate, same sound, same tags."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speech.audio import FORMATS, MEDIA_TYPES, AudioWriter, decode, encode, probe, resample, to_int16
from speech.errors import AudioError
from tests.speech.audio.conftest import RATE, blocks, tone

LOSSY = {"mp3", "opus", "m4a", "aac"}


def read(path: Path) -> tuple[np.ndarray, int]:
    """A second reader: libsndfile where it can, else plain FFmpeg frames as they come."""
    if path.suffix in {".wav", ".flac", ".mp3", ".opus"}:
        audio, rate = soundfile.read(path, dtype="float32")
        return audio, rate
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
        return np.concatenate(frames), container.streams.audio[0].rate


def loudest(audio: np.ndarray, rate: int) -> float:
    """Hertz of the strongest partial."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(audio.size)))
    return float(spectrum.argmax() * rate / audio.size)


@pytest.mark.parametrize("kind", [each for each in FORMATS if each != "pcm"])
@pytest.mark.parametrize("out_rate", [None, 8000, 24000, 48000])
def test_a_second_reader_hears_the_same_tone_at_the_wanted_rate(tmp_path, kind, out_rate):
    sound = tone(2.0)
    path = tmp_path / f"a.{kind}"
    seconds = encode(path, blocks(sound), rate=RATE, format=kind, out_rate=out_rate)
    heard, rate = read(path)
    assert seconds == pytest.approx(2.0)
    assert kind == "opus" or rate == (out_rate or RATE)
    assert abs(heard.size / rate - 2.0) < (0.2 if kind == "aac" else 0.11 if kind in LOSSY else 1e-4)
    assert loudest(heard, rate) == pytest.approx(440, abs=2)
    middle = heard[rate // 2 : 3 * rate // 2]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("kind", ["wav", "flac"])
def test_lossless_formats_hold_every_sample(tmp_path, kind):
    sound = np.random.default_rng(1).uniform(-1, 1, 5000).astype(np.float32)
    encode(tmp_path / "a", blocks(sound), rate=RATE, format=kind)
    heard, _ = soundfile.read(tmp_path / "a", dtype="int16")
    np.testing.assert_array_equal(heard, to_int16(sound))


def test_pcm_is_raw_little_endian_and_nothing_else(tmp_path):
    encode(tmp_path / "a.pcm", [np.array([0.0, 0.5, -1.0], np.float32)], rate=24000, format="pcm")
    assert (tmp_path / "a.pcm").read_bytes() == bytes.fromhex("000000400080")


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus", "m4a"])
def test_tags_are_written(tmp_path, kind):
    given = {"title": "小猫", "artist": "王小明", "album": "动物", "track": "3/12"}
    encode(tmp_path / "a", [tone(0.5)], rate=RATE, format=kind, metadata=given)
    with av.open(str(tmp_path / "a")) as container:
        tags = {**container.metadata, **container.streams.audio[0].metadata}
    tags = {key.lower(): value for key, value in tags.items()}
    assert {name: tags[name] for name in given} == given


def test_int16_blocks_pass_unchanged(tmp_path):
    samples = np.arange(-500, 500, dtype=np.int16)
    encode(tmp_path / "a.wav", [samples], rate=RATE, format="wav")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="int16")[0], samples)


@given(st.lists(st.floats(-4, 4, width=32), max_size=50))
def test_int16_clips_and_never_wraps(samples):
    audio = np.array(samples, np.float32)
    ints = to_int16(audio).astype(np.float64)
    assert np.all(np.abs(ints / 32768 - np.clip(audio, -1, 1)) <= 1 / 32768)
    assert np.all((ints == 0) | (np.sign(ints) == np.sign(audio)))


@pytest.mark.parametrize("kind", ["mp3", "opus"])
def test_a_sound_at_full_scale_is_not_turned_down(tmp_path, kind):
    encode(tmp_path / f"a.{kind}", [tone(2.0, level=1.0)], rate=RATE, format=kind)
    heard, rate = read(tmp_path / f"a.{kind}")
    assert np.sqrt(np.mean(heard[rate // 2 : 3 * rate // 2] ** 2)) == pytest.approx(1 / np.sqrt(2), rel=0.03)


@pytest.mark.parametrize("kind", ["mp3", "m4a"])
def test_a_voice_is_kept_well(tmp_path, kind):
    """With FFmpeg's default settings AAC has bursts at onsets that are louder than the voice's own consonants."""
    voice, rate = soundfile.read("models/demo/samples/demo_F7_neutral.wav", dtype="float32")
    encode(tmp_path / f"a.{kind}", [voice], rate=rate, format=kind)
    heard = np.concatenate(list(decode(tmp_path / f"a.{kind}", rate=rate)))[: voice.size]
    error = heard - voice[: heard.size]
    assert 10 * np.log10(np.sum(voice**2) / np.sum(error**2)) > (33 if kind == "m4a" else 15)
    assert np.abs(error).max() < (0.05 if kind == "m4a" else 0.2)


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(AudioError, match="NaN") as caught:
        encode(tmp_path / "a.wav", [np.array([0.0, np.nan], np.float32)], rate=RATE, format="wav")
    assert caught.value.code == "not_finite"


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(AudioError, match="wav, flac, mp3"):
        AudioWriter(tmp_path / "a", rate=RATE, format="wma")


def test_a_wav_that_would_overflow_its_header_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("speech.audio.encoding.WAV_LIMIT_BYTES", 1000)
    with pytest.raises(AudioError, match="4 GiB") as caught:
        encode(tmp_path / "a.wav", [tone(1.0)], rate=RATE, format="wav")
    assert caught.value.code == "wav_too_long"


@pytest.mark.parametrize("kind", FORMATS)
def test_no_blocks_make_a_file_of_no_seconds(tmp_path, kind):
    assert encode(tmp_path / "a", [], rate=RATE, format=kind) == 0.0
    assert (tmp_path / "a").exists()


def test_every_format_has_a_media_type():
    assert all(each.startswith("audio/") for each in MEDIA_TYPES.values())
    assert set(FORMATS) == {"wav", "flac", "mp3", "opus", "m4a", "aac", "pcm"}


@given(st.integers(0, 3000), st.sampled_from([8000, 16000, 22050, 24000]), st.sampled_from([8000, 16000, 44100, 48000]))
def test_resampling_keeps_the_duration_to_the_sample(n, rate, out_rate):
    assert resample(np.zeros(n, np.float32), rate, out_rate).size == pytest.approx(n * out_rate / rate, abs=0.51)


def test_resampling_in_blocks_equals_resampling_at_once(tmp_path):
    sound = tone(1.0)
    encode(tmp_path / "a.wav", blocks(sound, 333), rate=RATE, format="wav", out_rate=22050)
    streamed, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    np.testing.assert_allclose(streamed, to_int16(resample(sound, RATE, 22050)), atol=1)


def test_probe_reads_back_what_was_asked_for(tmp_path):
    encode(tmp_path / "a.m4a", [tone(1.0)], rate=RATE, format="m4a", out_rate=44100)
    info = probe(tmp_path / "a.m4a")
    assert (info.codec, info.channels, info.sample_rate, info.has_video) == ("aac", 1, 44100, False)
    assert info.duration_seconds == pytest.approx(1.0, abs=0.05)
