"""Encoders in processes of their own, and the one that is kept ready for the next listener."""

import pytest

from app import encoding
from app.encoding import Pipe
from app.problems import Refusal

SAMPLES = bytes(2 * 16000)


@pytest.fixture
def spare(monkeypatch):
    fresh = encoding.Spare()
    monkeypatch.setattr(encoding, "spare", fresh)
    yield fresh
    fresh.close()


def encoded(form="mp3"):
    pipe = Pipe.encoder(form, 16000, 16000)
    return pipe._process.pid, b"".join(pipe.through(iter([SAMPLES])))


@pytest.mark.slow
def test_the_next_listener_finds_an_encoder_that_is_ready(spare):
    assert spare._ready is None, "nobody pays for it before anybody listens"
    first, sound = encoded()
    ready = spare._ready.pid
    second, same = encoded()
    assert (ready != first, second) == (True, ready)
    assert same == sound
    assert sound[:2] in {b"\xff\xf3", b"\xff\xf2"}


@pytest.mark.slow
def test_a_ready_encoder_that_was_ended_costs_nobody_his_sound(spare):
    encoded()
    spare._ready.kill()
    spare._ready.wait()
    assert encoded("flac")[1].startswith(b"fLaC")


@pytest.mark.slow
def test_it_ends_with_the_process_that_it_waits_for(spare):
    spare.refill()
    waiting = spare._ready
    waiting.stdin.close()
    assert waiting.wait(60) == 0


def test_too_many_at_once_are_told_to_come_again(spare, monkeypatch):
    monkeypatch.setattr(encoding, "_room", encoding.threading.BoundedSemaphore(1))
    first = Pipe.encoder("mp3", 16000, 16000)
    with pytest.raises(Refusal) as refused:
        Pipe.encoder("mp3", 16000, 16000)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
    first.close()
    Pipe.encoder("mp3", 16000, 16000).close()
