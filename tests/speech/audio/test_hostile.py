"""Damaged and hostile media: something is decoded or a clear error is raised, and the process lives."""

import random
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech.audio import decode, encode
from speech.errors import AudioError
from tests.speech.audio.conftest import RATE, tone


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "opus", "m4a", "aac"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000))
def test_random_damage(tmp_path, kind, seed):
    path = tmp_path / f"a.{kind}"
    encode(path, [tone(1.0)], rate=RATE, format=kind)
    data = bytearray(path.read_bytes())
    rng = random.Random(seed)
    for _ in range(rng.randint(1, 40)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data[: rng.randint(len(data) // 4, len(data))])
    try:
        for block in decode(path, max_seconds=60, channels=rng.choice(["mix", "split"])):
            assert block.shape[-1] > 0
    except AudioError as error:
        assert error.code in {"not_media", "no_audio_stream", "undecodable", "damaged_media", "too_long"}  # noqa: PT017


def claiming(channels, rate):
    """A WAV whose header says so, with a kilobyte of silence."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, (2 * rate * channels) % 2**32, 2 * channels, 16)
    data = struct.pack("<4sI", b"data", 8192) + bytes(8192)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


@pytest.mark.parametrize(("channels", "rate"), [(1, 1), (1, 999), (1, 2**31 - 1), (65, 16000), (255, 16000)])
def test_a_header_that_claims_the_absurd_is_refused_with_its_limit(tmp_path, channels, rate):
    (tmp_path / "a.wav").write_bytes(claiming(channels, rate))
    with pytest.raises(AudioError, match="can be read") as caught:
        decode(tmp_path / "a.wav")
    assert caught.value.code == "undecodable"


@pytest.mark.parametrize(("channels", "rate"), [(1, 1000), (1, 768_000), (64, 16000)])
def test_what_is_rare_but_possible_is_decoded(tmp_path, channels, rate):
    (tmp_path / "a.wav").write_bytes(claiming(channels, rate))
    assert sum(block.shape[-1] for block in decode(tmp_path / "a.wav")) > 0
