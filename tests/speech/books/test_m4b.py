"""The M4B: right for two other readers, chapters in order, whole or not there, small in memory."""

import json
import shutil
import subprocess
import tracemalloc
from array import array
from itertools import pairwise

import av
import numpy as np
import pytest

from speech.audio import encode
from speech.books import BookError, BookTags, Part, assemble_m4b
from speech.books.mp4 import Movie, header
from tests.speech.books.conftest import names, png
from tests.speech.books.test_loudness import RATE


def beep(hertz, seconds, rate=RATE):
    """A tone with a tenth of a second of silence on both sides."""
    n = round(seconds * rate)
    audio = (0.3 * np.sin(2 * np.pi * hertz * np.arange(n) / rate)).astype(np.float32)
    audio[: rate // 10] = audio[-rate // 10 :] = 0
    return audio


def chapters(folder, count=3, kind="m4a", rate=RATE):
    parts = []
    for number in range(1, count + 1):
        path = folder / f"c{number}.{kind}"
        encode(path, [beep(200 + 100 * number, 1.0 + 0.37 * number)], rate=RATE, format=kind, out_rate=rate)
        parts.append(Part(path, f"第{number}章 小屋"))
    return parts


TAGS = BookTags("小屋", "王小明", "zh-CN", png(), date="2026")


def decoded(path):
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        return np.concatenate([frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]), rate


def ffprobe(path):
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: the second reader of M4B files is missing")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", "-show_format", "-show_streams", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.parametrize("count", [1, 3, 12])
def test_ffprobe_reads_chapters_titles_tags_and_cover(tmp_path, count):
    marks = assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, count), TAGS)
    found = ffprobe(tmp_path / "book.m4b")
    assert [c["tags"]["title"] for c in found["chapters"]] == [f"第{n}章 小屋" for n in range(1, count + 1)]
    for chapter, mark in zip(found["chapters"], marks, strict=True):
        assert float(chapter["start_time"]) == pytest.approx(mark.start, abs=0.002)
        assert float(chapter["end_time"]) == pytest.approx(mark.end, abs=0.002)
    tags = found["format"]["tags"]
    assert (tags["title"], tags["artist"], tags["album"], tags["genre"], tags["date"]) == (
        "小屋",
        "王小明",
        "小屋",
        "Audiobook",
        "2026",
    )
    assert tags["major_brand"] == "M4B "
    audio, picture = found["streams"][0], found["streams"][-1]
    assert (audio["codec_name"], audio["tags"]["language"]) == ("aac", "zho")
    assert (picture["codec_name"], picture["disposition"]["attached_pic"]) == ("png", 1)
    assert float(found["format"]["duration"]) == pytest.approx(marks[-1].end, abs=0.01)


def test_each_chapter_sounds_where_its_mark_says(tmp_path):
    marks = assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 3), TAGS)
    audio, rate = decoded(tmp_path / "book.m4b")
    with av.open(str(tmp_path / "book.m4b")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == [mark.title for mark in marks]
    for number, mark in enumerate(marks, 1):
        part = audio[round(mark.start * rate) : round(mark.end * rate)]
        spectrum = np.abs(np.fft.rfft(part))
        assert spectrum.argmax() * rate / part.size == pytest.approx(200 + 100 * number, abs=2)
        onset = np.argmax(np.abs(part) > 0.1) / rate
        assert onset == pytest.approx(0.1, abs=0.02)  # nothing of the encoder's delay is left before the sound
        assert np.abs(part).max() < 0.45  # no click where chapters meet


def test_chapters_stay_in_the_order_given_and_not_that_of_their_names(tmp_path):
    """The loudest complaint about rivals: 1, 10, 11, 2."""
    marks = assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 12), TAGS)
    assert [mark.title for mark in marks] == [f"第{n}章 小屋" for n in range(1, 13)]
    assert all(a.end == b.start for a, b in pairwise(marks))


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3"])
def test_chapters_that_are_not_aac_are_encoded(tmp_path, kind):
    marks = assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 2, kind), TAGS)
    audio, rate = decoded(tmp_path / "book.m4b")
    assert audio.size / rate == pytest.approx(marks[-1].end, abs=0.05)
    assert marks[0].end == pytest.approx(1.37, abs=0.2)
    assert names(tmp_path) == ["book.m4b", f"c1.{kind}", f"c2.{kind}"]


def test_chapters_of_different_rates_are_brought_to_one(tmp_path):
    parts = [*chapters(tmp_path, 1), Part(tmp_path / "other.m4a", "二")]
    encode(parts[1].path, [beep(500, 2.0)], rate=RATE, format="m4a", out_rate=48000)
    marks = assemble_m4b(tmp_path / "book.m4b", parts, TAGS)
    _, rate = decoded(tmp_path / "book.m4b")
    assert rate == RATE
    assert marks[1].end - marks[1].start == pytest.approx(2.0, abs=0.15)


def test_packets_are_copied_and_not_encoded_again(tmp_path):
    parts = chapters(tmp_path, 2)
    assemble_m4b(tmp_path / "book.m4b", parts, TAGS)
    data = (tmp_path / "book.m4b").read_bytes()
    for part in parts:
        with av.open(str(part.path)) as container:
            packets = b"".join(bytes(p) for p in container.demux(audio=0) if p.size)
        assert packets in data


def test_the_header_stands_in_front_so_that_players_start_at_once(tmp_path):
    assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 2), TAGS)
    data = (tmp_path / "book.m4b").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat") < 20_000


def test_the_same_chapters_give_the_same_bytes(tmp_path):
    parts = chapters(tmp_path, 2)
    for name in ("a.m4b", "b.m4b"):
        assemble_m4b(tmp_path / name, parts, TAGS)
    assert (tmp_path / "a.m4b").read_bytes() == (tmp_path / "b.m4b").read_bytes()


@pytest.mark.parametrize("count", [255, 256])
def test_hundreds_of_chapters_keep_all_their_marks(tmp_path, count):
    path = tmp_path / "c.m4a"
    encode(path, [beep(300, 0.3)], rate=RATE, format="m4a")
    assemble_m4b(tmp_path / "book.m4b", [Part(path, f"第{n}章") for n in range(count)], BookTags("书"))
    with av.open(str(tmp_path / "book.m4b")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == [f"第{n}章" for n in range(count)]


def test_long_titles_and_unknown_languages_are_no_trouble(tmp_path):
    parts = [Part(part.path, "长" * 400) for part in chapters(tmp_path, 2)]
    assemble_m4b(tmp_path / "book.m4b", parts, BookTags("书", language="x-klingon"))
    with av.open(str(tmp_path / "book.m4b")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["长" * 400] * 2


def test_a_failing_book_leaves_neither_a_file_nor_half_of_one(tmp_path):
    parts = chapters(tmp_path, 3)
    data = parts[1].path.read_bytes()
    parts[1].path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(BookError, match=r"c2\.m4a holds") as caught:
        assemble_m4b(tmp_path / "book.m4b", parts, TAGS)
    assert caught.value.code == "damaged_chapter"
    assert not [name for name in names(tmp_path) if "book" in name]


def test_cancelling_between_chapters_leaves_nothing(tmp_path):
    def check():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 2), TAGS, check=check)
    assert not [name for name in names(tmp_path) if "book" in name]


def test_no_chapters_and_a_bad_cover_are_refused(tmp_path):
    with pytest.raises(BookError, match="at least one chapter"):
        assemble_m4b(tmp_path / "book.m4b", [], TAGS)
    with pytest.raises(BookError, match="JPEG or PNG"):
        assemble_m4b(tmp_path / "book.m4b", chapters(tmp_path, 1), BookTags("书", cover=b"GIF89a"))


@pytest.mark.slow
def test_memory_is_a_few_bytes_a_packet(tmp_path):
    """Ten hours of audio are 562,500 packets at 16 kHz; FFmpeg's own writer needs some 35 MB for them."""
    path = tmp_path / "c.m4a"
    encode(path, (np.zeros(RATE * 10, np.float32) for _ in range(20)), rate=RATE, format="m4a")

    def peak(count):
        tracemalloc.start()
        assemble_m4b(tmp_path / "book.m4b", [Part(path, "章")] * count, BookTags("书"))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    small, large = peak(1), peak(49)  # so many that what other threads of this process take meanwhile is little
    assert (large - small) / (48 * 3126) < 30  # bytes a packet, while the header is built


@pytest.mark.parametrize("packets", [0, 1, 63, 64, 65, 128, 129])
def test_the_size_of_the_header_does_not_depend_on_what_is_written(packets):
    def movie(fill):
        return Movie(
            rate=RATE, config=b"\x14\x08", bitrate=48000, titles=["一", "二"], starts=[0, packets // 2],
            sizes=array("I", [fill] * packets), chunks=array("Q", [fill] * -(-packets // 64)), titles_at=fill,
        )  # fmt: skip

    assert len(header(movie(0))) == len(header(movie(2**31)))
