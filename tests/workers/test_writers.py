"""Chapters are written in a process of their own, whatever becomes of it."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from speech.books import Levels, Making, write_chapter
from speech.books.chapter import join
from speech.errors import AudioError, SpeechError
from tests.speech.books.conftest import names
from workers import writers as module
from workers.session import Stop, Wish
from workers.writers import Writers

RATE = 16000
SENTENCES = [(3000 * np.sin(np.arange(2 * RATE) / (5 + n))).astype(np.int16) for n in range(3)]
PAUSES = [280, 600, 1500]
PATIENCE = 60


def nothing():
    pass


@pytest.fixture
def writers():
    found = Writers()
    yield found
    found.close()


def write(writers, folder, *, making=None, check=nothing, count=1):
    joined = folder / "joined.pcm"
    join(joined, SENTENCES * count, PAUSES * count, RATE)
    return writers.write(joined, folder, "one", making or Making(RATE, ["wav", "m4a"]), title="第一章", check=check)


def children():
    return [one for one in psutil.Process().children() if _is_writer(one)]


def _is_writer(process):
    try:
        return "speech.books.writer" in process.cmdline()
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return False


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    "making", [Making(RATE, ["wav", "mp3"]), Making(RATE, ["flac"], 24000, Levels("acx", -21), {"album": "书"})]
)
def test_it_makes_what_the_library_makes(writers, tmp_path, making):
    (tmp_path / "here").mkdir()
    here = write_chapter(tmp_path / "here", "one", SENTENCES, PAUSES, making, title="第一章")
    there = write(writers, tmp_path, making=making)
    assert dataclasses.replace(there, files={}) == dataclasses.replace(here, files={})
    for kind, path in there.files.items():
        assert path == tmp_path / f"one.{kind}"
        assert path.read_bytes() == here.files[kind].read_bytes()


def test_one_process_writes_chapter_after_chapter(writers, tmp_path):
    write(writers, tmp_path)
    before = [child.pid for child in children()]
    write(writers, tmp_path)
    assert [child.pid for child in children()] == before
    assert len(before) == 1


@pytest.mark.slow
def test_a_chapter_whose_writer_dies_is_written_by_another(writers, tmp_path):
    """As by the kernel when memory is short: while one waits for a chapter, and in the middle of one."""
    write(writers, tmp_path)
    children()[0].kill()
    killed = iter([True])

    def check():
        if (tmp_path / ".one.wav.part").exists() and next(killed, False):
            children()[0].kill()

    made = write(writers, tmp_path, check=check, count=40)
    assert next(killed, None) is None
    assert made.files["wav"].stat().st_size > 40 * 6 * RATE


def test_a_chapter_that_ends_every_writer_fails(writers, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(RuntimeError, match="3 processes ended"):
        write(writers, tmp_path)


@pytest.mark.slow
def test_who_is_told_to_stop_ends_the_writer(writers, tmp_path):
    def check():
        if (tmp_path / ".one.wav.part").exists():
            raise Stop(Wish.CANCEL)

    with pytest.raises(Stop):
        write(writers, tmp_path, check=check, count=200)
    assert children() == []
    assert "one.wav" not in names(tmp_path)
    assert write(writers, tmp_path).seconds == pytest.approx(6 + 2.38)


def test_what_goes_wrong_there_is_raised_here(writers, tmp_path):
    with pytest.raises(FileNotFoundError):
        writers.write(tmp_path / "none", tmp_path, "one", Making(RATE, ["wav"]), title="", check=nothing)
    with pytest.raises(SpeechError) as here:
        write_chapter(tmp_path, "one", SENTENCES, PAUSES, Making(RATE, ["tape"]))
    with pytest.raises(SpeechError) as there:
        write(writers, tmp_path, making=Making(RATE, ["tape"]))
    assert (there.value.code, there.value.detail) == (here.value.code, here.value.detail)
    assert isinstance(here.value, AudioError)
    with pytest.raises(RuntimeError, match="invalid literal"):
        write(writers, tmp_path, making=Making(RATE, ["wav"], out_rate="fast"))
    assert write(writers, tmp_path).files["wav"].exists()
    assert len(children()) == 1


def test_signals_to_the_group_are_not_for_the_writer(writers, tmp_path):
    """Ctrl-C and a service's stop reach all processes; the worker says what is to be done."""
    write(writers, tmp_path)
    child = children()[0]
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGINT)
    write(writers, tmp_path)
    assert children() == [child]
    assert os.getpgid(child.pid) == child.pid
    assert os.getsid(child.pid) == os.getsid(0), "or its niceness would count for nothing"


@pytest.mark.slow
def test_a_writer_without_work_ends_and_leaves_no_zombie(tmp_path, monkeypatch):
    code = "import speech.books.writer as w; w.IDLE_SECONDS = 0.2; w.main()"
    monkeypatch.setattr(module, "COMMAND", (sys.executable, "-c", code))
    writers, others = Writers(), set(psutil.Process().children())
    at_once(writers, tmp_path, 4)
    until(lambda: set(psutil.Process().children()) <= others)
    assert write(writers, tmp_path).seconds == pytest.approx(6 + 2.38), "those that have ended are no tries"
    writers.close()


PARENT = """
import sys
from pathlib import Path
from speech.books import Making
from workers.writers import Writers
folder = Path(sys.argv[1])
Writers().write(folder / "joined.pcm", folder, "one", Making(16000, ["wav", "m4a"]), title="", check=lambda: None)
"""


@pytest.mark.slow
def test_a_writer_whose_worker_is_killed_ends_and_leaves_nothing_that_looks_done(tmp_path):
    join(tmp_path / "joined.pcm", SENTENCES * 400, PAUSES * 400, RATE)
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)]) as parent:
        until((tmp_path / ".one.wav.part").exists)
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    child.wait(PATIENCE)
    assert names(tmp_path) == ["joined.pcm"]


def at_once(writers, folder, chapters):
    """Have chapters written at once; returns their folders."""
    folders = [folder / str(number) for number in range(chapters)]
    threads = []
    for each in folders:
        each.mkdir()
        threads.append(threading.Thread(target=write, args=(writers, each), kwargs={"count": 20}))
        threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE)
    return folders


@pytest.mark.slow
def test_chapters_are_written_at_once(writers, tmp_path):
    one, other = at_once(writers, tmp_path, 2)
    assert len(children()) == 2
    assert (one / "one.m4a").read_bytes() == (other / "one.m4a").read_bytes()
