"""Damaged and hostile media: something is decoded or a clear error is raised, and the process lives."""

import random

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
