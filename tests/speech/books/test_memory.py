"""Books of any length: memory stays, whatever the number of sentences and chapters, and reading takes linear time."""

import subprocess
import sys

import pytest

from speech.books import BookError, read_book
from speech.books.model import MAX_CHAPTERS

WRITER = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
from speech.books import BookTags, Making, Part, assemble_m4b, write_chapter

chapters, sentences = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(1)
sentence = (rng.standard_normal(48000) * np.hanning(48000) * 3000).astype(np.int16)
with tempfile.TemporaryDirectory() as folder:
    parts = []
    for number in range(chapters):
        made = write_chapter(
            folder, str(number), (sentence for _ in range(sentences)), [300] * sentences, Making(16000, ["m4a", "flac"])
        )
        parts.append(Part(made.files["m4a"], f"chapter {number}"))
    assemble_m4b(Path(folder) / "book.m4b", parts, BookTags("a book"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_of_writer(chapters, sentences):
    """Return the peak memory in KiB of a process that writes a book, FFmpeg's own included."""
    command = [sys.executable, "-c", WRITER, str(chapters), str(sentences)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize(("small", "large"), [((1, 20), (10, 20)), ((1, 20), (1, 200))], ids=["chapters", "sentences"])
def test_a_book_ten_times_as_long_takes_no_more_memory_to_write(small, large):
    """The longer one is eleven minutes of sound: 42 MB as floats, against a process of some 100 MB."""
    assert peak_of_writer(*large) < 1.15 * peak_of_writer(*small)


def plain(count):
    return "".join(f"第{number}章\n\n山上有一座房子。\n\n" for number in range(1, count + 1)).encode()


def markdown(count):
    return "".join(f"# 第{number}章\n\n山上有一座房子。\n\n" for number in range(1, count + 1)).encode()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["txt", "md", "epub"])
def test_ten_thousand_chapters_are_read_and_one_more_is_refused_with_the_limit(epub, tmp_path, kind):
    def book(count):
        if kind == "epub":
            pages = {f"c{n}.xhtml": f"<h1>第{n}章</h1><p>山上有一座房子。</p>" for n in range(1, count + 1)}
            return epub(pages, contents=[(f"第{n}章", f"c{n}.xhtml", ()) for n in range(1, count + 1)])
        path = tmp_path / f"book.{kind}"
        path.write_bytes(plain(count) if kind == "txt" else markdown(count))
        return path

    chapters = read_book(book(MAX_CHAPTERS)).chapters
    assert [chapter.title for chapter in chapters] == [f"第{n}章" for n in range(1, MAX_CHAPTERS + 1)]
    with pytest.raises(BookError, match=f"{MAX_CHAPTERS + 1} chapters; the limit is {MAX_CHAPTERS}") as caught:
        read_book(book(MAX_CHAPTERS + 1))
    assert caught.value.code == "book_too_big"
