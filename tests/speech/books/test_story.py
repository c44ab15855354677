"""The demo story from text to M4B and back by ear: what is heard in each chapter is what was written in it."""

import json
import shutil
import subprocess
from itertools import pairwise

import numpy as np
import pytest

from speech.audio import decode
from speech.books import BookTags, Making, Part, assemble_m4b, read_book, script, write_chapter
from speech.subtitles import to_srt
from speech.text import FrontEnd
from speech.timing import cues_of

STORY = "models/demo/domain-story.txt"
MOST_ERRORS = 0.06


def letters(text):
    return [c for c in text if c.isalnum()]


def error_rate(said, heard):
    """Character error rate by edit distance, punctuation not counted."""
    said, heard = letters(said), letters(heard)
    row = np.arange(len(heard) + 1)
    for i, character in enumerate(said, 1):
        above = row.copy()
        row[0] = i
        for j, other in enumerate(heard, 1):
            row[j] = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (character != other))
    return row[-1] / len(said)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """The book, its chapters' audio and cues, and the M4B."""
    from speech.tts import Voice

    folder = tmp_path_factory.mktemp("story")
    book, front_end = read_book(STORY), FrontEnd()
    voice = Voice.load("models/demo/tts/voices/demo", device="cpu")
    chapters = []
    for number, chapter in enumerate(book.chapters, 1):
        sentences = [each for each in script(chapter, front_end) if each.symbols]
        utterances = voice.render([each.symbols for each in sentences])
        pauses = [each.pause_ms for each in sentences]
        audio = [each.audio for each in utterances]
        making = Making(voice.sample_rate, ["wav", "m4a"])
        made = write_chapter(folder, f"{number}", audio, pauses, making, title=chapter.title)
        chapters.append((made, cues_of(sentences, utterances, [pause / 1000 for pause in pauses])))
    parts = [Part(made.files["m4a"], made.title) for made, _ in chapters]
    marks = assemble_m4b(folder / "story.m4b", parts, BookTags("故事", "佚名", "zh"))
    return book, chapters, marks, folder / "story.m4b"


@pytest.mark.slow
def test_the_m4b_has_the_chapters_of_the_story(spoken):
    book, chapters, marks, path = spoken
    assert [mark.title for mark in marks] == [chapter.title for chapter in book.chapters]
    for mark, (made, _) in zip(marks, chapters, strict=True):
        assert mark.end - mark.start == pytest.approx(made.seconds, abs=0.13)  # two packets of 64 ms
        assert made.after.lufs == pytest.approx(-18, abs=0.3)
        assert made.after.silence < 0.5
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed: the second reader of M4B files is missing")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_chapters", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["chapters"]
    assert [each["tags"]["title"] for each in found] == [mark.title for mark in marks]
    assert [float(each["start_time"]) for each in found] == pytest.approx([mark.start for mark in marks], abs=0.002)


@pytest.mark.slow
def test_subtitles_lie_on_the_sound_and_pauses_between_them(spoken):
    _, chapters, _, _ = spoken
    for made, cues in chapters:
        audio = np.concatenate(list(decode(made.files["wav"])))
        levels = [np.sqrt(np.mean(audio[int(c.start * 16000) : int(c.end * 16000)] ** 2)) for c in cues]
        between = [
            np.sqrt(np.mean(audio[int((a.end + 0.2) * 16000) : int((b.start - 0.05) * 16000)] ** 2))
            for a, b in pairwise(cues)
            if b.start - a.end > 0.5
        ]
        assert len(between) > 5
        assert max(between) < min(levels) / 3
        assert cues[-1].end < made.seconds
        assert to_srt(cues).count(" --> ") == len(cues)


@pytest.mark.slow
def test_what_is_heard_in_each_chapter_is_what_was_written(spoken):
    from speech.stt import Recognizer

    book, chapters, _, path = spoken
    recognizer = Recognizer.load("models/demo/stt", device="cpu", compute_type="int8")
    (whole,) = recognizer.transcribe([path], language="zh")
    said = "".join(chapter.title + chapter.text for chapter in book.chapters)
    assert error_rate(said, whole.text) <= MOST_ERRORS
    parts = recognizer.transcribe([made.files["m4a"] for made, _ in chapters], language="zh")
    for chapter, heard in zip(book.chapters, parts, strict=True):
        assert error_rate(chapter.title + chapter.text, heard.text) <= 2 * MOST_ERRORS
