"""Encoders in processes of their own, and the one that is kept ready for the next listener."""

import pytest

from app import encoding
from app.encoding import Pipe
from app.problems import Refusal

SAMPLES = bytes(2 * 16000)


@pytest.fixture
def idle(monkeypatch):
    fresh = encoding.Idle()
    monkeypatch.setattr(encoding, "idle", fresh)
    yield fresh
    fresh.close()


def encoded(form="mp3", samples=SAMPLES):
    pipe = Pipe.encoder(form, 16000, 16000)
    return pipe._process, b"".join(pipe.through(iter([samples[:1001], b"", samples[1001:]])))


@pytest.mark.slow
def test_the_next_listener_finds_a_process_that_is_ready_and_hears_only_his_own(idle, tmp_path):
    assert idle._waiting == [], "nobody pays for it before anybody listens"
    first, sound = encoded()
    other, _ = encoded("flac", bytes(range(256)) * 400)
    second, same = encoded()
    assert first.pid == other.pid == second.pid
    assert same == sound
    assert sound[:2] in {b"\xff\xf3", b"\xff\xf2"}
    (tmp_path / "a.mp3").write_bytes(sound)
    decoder = Pipe.decoder(tmp_path / "a.mp3", 0, 16000, 0, 0.0)
    assert decoder._process.pid == first.pid
    samples = b"".join(decoder.output())
    decoder.close()
    assert len(SAMPLES) <= len(samples) <= 1.2 * len(SAMPLES)


@pytest.mark.slow
def test_a_waiting_process_that_was_ended_costs_nobody_his_sound(idle):
    first, _ = encoded()
    first.kill()
    first.wait()
    second, sound = encoded("flac")
    assert (second.pid != first.pid, sound[:4]) == (True, b"fLaC")


@pytest.mark.slow
def test_a_listener_who_leaves_in_the_middle_leaves_nothing_for_the_next(idle):
    pipe = Pipe.encoder("flac", 16000, 16000)
    sound = pipe.through(iter([SAMPLES, SAMPLES]))
    next(sound)
    sound.close()
    [fresh] = idle._waiting
    assert (fresh.pid != pipe._process.pid, pipe._process.poll() is not None) == (True, True)


@pytest.mark.slow
def test_no_more_wait_than_are_worth_their_memory_and_all_end_with_their_parent(idle):
    pipes = [Pipe.encoder("mp3", 16000, 16000) for _ in range(encoding.MOST_IDLE + 1)]
    for pipe in pipes:
        assert b"".join(pipe.through(iter([SAMPLES])))
    waiting = list(idle._waiting)
    assert len(waiting) == encoding.MOST_IDLE
    for process in waiting:
        process.stdin.close()
        assert process.wait(60) == 0


def test_too_many_at_once_are_told_to_come_again(idle, monkeypatch):
    monkeypatch.setattr(encoding, "_room", encoding.threading.BoundedSemaphore(1))
    first = Pipe.encoder("mp3", 16000, 16000)
    with pytest.raises(Refusal) as refused:
        Pipe.encoder("mp3", 16000, 16000)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
    first.close()
    Pipe.encoder("mp3", 16000, 16000).close()


@pytest.mark.slow
def test_what_cannot_be_done_is_an_error_and_its_process_is_not_used_again(idle, tmp_path):
    pipe = Pipe.decoder(tmp_path / "nowhere.mp3", 0, 16000, 0, 0.0)
    with pytest.raises(Refusal) as refused:
        b"".join(pipe.output())
    pipe.close()
    assert refused.value.status == 500
    assert pipe._process not in idle._waiting
