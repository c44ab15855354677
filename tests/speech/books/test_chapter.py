"""A chapter's files: exact to the sample, at their level, whole or not there."""

import signal
import subprocess
import sys
import tracemalloc

import av
import numpy as np
import pytest
import soundfile

from speech.audio import to_int16
from speech.books import Levels, Making, chapter_name, write_chapter
from speech.errors import AudioError
from tests.speech.books.conftest import names
from tests.speech.books.test_loudness import RATE, measured, speechlike

SENTENCES = [speechlike(2.0 + 0.5 * seed, level=0.05, seed=seed) for seed in range(4)]
PAUSES = [280, 600, 280, 1500]


def make(folder, sentences=None, pauses=None, **options):
    options.setdefault("formats", ["wav"])
    making = Making(rate=RATE, **options)
    sentences = SENTENCES if sentences is None else sentences
    return write_chapter(folder, "one", sentences, PAUSES if pauses is None else pauses, making, title="第一章")


def test_without_loudness_the_file_is_the_sentences_and_their_pauses_to_the_sample(tmp_path):
    chapter = make(tmp_path, levels=Levels("none"))
    heard, rate = soundfile.read(chapter.files["wav"], dtype="int16")
    expected = [
        x for s, p in zip(SENTENCES, PAUSES, strict=True) for x in (to_int16(s), np.zeros(RATE * p // 1000, np.int16))
    ]
    np.testing.assert_array_equal(heard, np.concatenate(expected))
    assert (rate, chapter.seconds) == (RATE, heard.size / RATE)
    assert chapter.gain_db == 0


@pytest.mark.parametrize("level", [0.006, 0.05, 0.5])
@pytest.mark.parametrize(("mode", "target"), [("r128", None), ("r128", -23.0), ("acx", None)])
def test_every_chapter_reaches_its_level_whatever_it_was(tmp_path, level, mode, target):
    sentences = [speechlike(4.0, level=level, seed=seed) for seed in range(3)]
    chapter = make(tmp_path, sentences, [300, 300, 1500], levels=Levels(mode, target))
    result = measured(soundfile.read(chapter.files["wav"], dtype="float32")[0])
    if mode == "r128":
        assert result.lufs == pytest.approx(target or -18.0, abs=0.5)
        assert result.peak_db <= -1.4
    else:
        assert result.acx_failures() == []
    assert {**chapter.after.to_json(), "true_peak_dbtp": None} == pytest.approx(result.to_json(), abs=0.05)
    assert chapter.after.true_peak_db >= chapter.after.peak_db - 0.01
    assert chapter.before.lufs != chapter.after.lufs


def test_all_formats_are_written_in_one_go_with_their_tags(tmp_path):
    chapter = make(tmp_path, formats=["flac", "mp3", "m4a"], out_rate=24000, metadata={"album": "书", "artist": "王"})
    assert set(chapter.files) == {"flac", "mp3", "m4a"}
    for path in chapter.files.values():
        with av.open(str(path)) as container:
            assert container.metadata["title"] == "第一章"
            assert container.streams.audio[0].rate == 24000
            assert float(container.duration) / 1e6 == pytest.approx(chapter.seconds, abs=0.15)
    assert names(tmp_path) == ["one.flac", "one.m4a", "one.mp3"]


def test_a_chapter_is_not_mostly_silence(tmp_path):
    """A complaint about rivals: seven tenths of the book were silent. The share is measured, and named if so."""
    chapter = make(tmp_path, [speechlike(6.0)], [300])
    assert chapter.after.silence < 0.6
    assert chapter.warnings == ()
    silent = make(tmp_path, [speechlike(2.0)], [10_000])
    assert silent.after.silence > 0.7
    assert [warning.code for warning in silent.warnings] == ["mostly_silent"]


def test_a_chapter_that_is_too_quiet_to_be_raised_says_so(tmp_path):
    chapter = make(tmp_path, [speechlike(4.0, level=0.0005)], [300])
    assert chapter.gain_db == 30
    assert "off_level" in [warning.code for warning in chapter.warnings]


@pytest.mark.parametrize("fault", ["sentence", "check"])
def test_a_chapter_that_fails_leaves_no_file_behind(tmp_path, fault):
    def sentences():
        yield SENTENCES[0]
        yield np.full(100, np.nan, np.float32) if fault == "sentence" else SENTENCES[1]

    calls = iter(range(100))

    def check():
        if fault == "check" and next(calls) > 2:
            raise KeyboardInterrupt

    with pytest.raises((AudioError, KeyboardInterrupt)):
        write_chapter(tmp_path, "one", sentences(), [0, 0], Making(RATE, ["mp3"]), check=check)
    assert names(tmp_path) == []


KILLED = """
import sys, numpy as np
from speech.books import Making, write_chapter
def sentences():
    for index in range(10_000):
        if index == 50:
            print("halfway", flush=True)
        yield np.full(16000, 0.1, np.float32)
write_chapter(sys.argv[1], "one", sentences(), [0] * 10_000, Making(16000, ["wav", "mp3"]))
"""


def test_a_half_written_file_is_never_taken_for_done(tmp_path):
    """A complaint about rivals: killed while writing, they skip the half chapter as finished when they run again."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "halfway\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "one.wav").exists()
    assert not (tmp_path / "one.mp3").exists()
    make(tmp_path)  # and what was left behind is no hindrance
    assert soundfile.info(tmp_path / "one.wav").duration == pytest.approx(13.66, abs=0.01)
    assert names(tmp_path) == ["one.wav"]


def test_a_number_of_pauses_that_differs_from_the_sentences_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        make(tmp_path, pauses=[0, 0])


def test_memory_does_not_grow_with_the_chapter(tmp_path):
    def peak(count):
        sentence = (SENTENCES[0] * 32768).astype(np.int16)
        tracemalloc.start()
        write_chapter(tmp_path, "x", (sentence for _ in range(count)), [280] * count, Making(RATE, ["wav"]))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    small, large = peak(5), peak(80)
    assert large < small * 1.5 + 1_000_000  # 80 sentences are 12 MB as floats


def test_chapters_of_a_book_sort_in_their_order(tmp_path):
    for number in range(1, 13):
        write_chapter(
            tmp_path, chapter_name(number, 12, f"第{number}章", ""), [SENTENCES[0]], [0], Making(RATE, ["pcm"])
        )
    assert [int(name[:2]) for name in names(tmp_path)] == list(range(1, 13))
