"""The chapters of a book, spoken by an engine that hums: what is done once need not be done again."""

import json
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

from jobs.reuse import KeptResults
from jobs.settings import Settings
from jobs.states import Kind, Status
from speech.books import book_of_chapters
from speech.tts import Utterance
from tests.workers.household import Household
from workers import audiobooks
from workers.batching import BatchScheduler
from workers.catalogue import VoiceEntry
from workers.chapters import ChapterSpeaker
from workers.reuse import Reusing
from workers.turns import Turns
from workers.writers import Writers

RATE, HOP = 16000, 200
ONE, TWO = {"title": "第一章 雨", "text": "今天下雨。"}, {"title": "第二章 天", "text": "明天晴。"}


class Humming:
    """An engine that hums each sentence for half a second, and notes what it was given."""

    entries = {"demo": VoiceEntry("demo", ("F7", "M7"), ("neutral",), RATE)}  # noqa: RUF012 - read only

    def __init__(self):
        self.said = []
        self.rows = []
        self.checkpoint = "abc"

    def identity(self):
        return {"voices": self.checkpoint}

    def cost(self, _):
        return 1

    def bucket(self, _):
        return 0

    def run(self, payloads):
        self.said += [payload.line.symbols for payload in payloads]
        self.rows.append(len(payloads))
        hum = 0.1 * np.sin(np.arange(40 * HOP) / 9, dtype=np.float32)
        return [Utterance(hum, np.full(1, 40, np.int32), HOP, RATE) for _ in payloads]


class Books(Household):
    """Makes whole books."""

    def open(self):
        self.schedulers, self.writers = [], Writers()
        self.engine, self.speaker = self.worker()

    def worker(self, linger_seconds=0):
        """What a TTS worker has of its own: an engine with its scheduler, and who speaks chapters by them."""
        engine = Humming()
        scheduler = BatchScheduler(engine, max_cost=10**6, max_rows=8, linger_seconds=linger_seconds)
        scheduler.start()
        self.schedulers.append(scheduler)
        reusing = Reusing(KeptResults(self.redis, self.store, self.settings.reuse_bytes))
        turns = Turns(enough=100, writers=1)
        return engine, ChapterSpeaker(engine, scheduler, self.store, reusing, turns, self.writers, window=8)

    def speak(self, *chapters, speakers=(), file=None, before_assembly=lambda: None, **options):
        """Have a book spoken, by all `speakers` at once; returns its chapters and its manifest.

        It is one of these chapters, or a `file`: name, media type and bytes.
        """
        self.engine.said.clear()
        data = json.dumps(list(chapters)).encode()
        book = self.submit(Kind.AUDIOBOOK, options, [file or ("chapters.json", "application/json", data)])
        assert self.run(book) is None
        with ThreadPoolExecutor(8 if speakers else 1) as threads:
            for number, child in enumerate(self.children(book)):
                speaker = speakers[number % len(speakers)] if speakers else self.speaker
                threads.submit(self.runner.run, child.id, self.due.pop(child.id).sequence, speaker)
        before_assembly()
        assert self.run(book) is None
        assert self.queries.get(book).status is Status.SUCCEEDED
        return self.children(book), json.loads(self.read(book, "manifest.json"))

    def tags(self, chapter, ending):
        """What a player shows of a chapter's file."""
        blob = next(blob for blob in chapter.output_files if blob.name.endswith(ending))
        with self.store.path(chapter.id, blob) as path, av.open(str(path)) as opened:
            found = {**opened.metadata, **opened.streams.audio[0].metadata}
        return {name: found[name] for name in ("title", "album", "artist", "track") if name in found}


@pytest.fixture
def books(redis, tmp_path):
    house = Books(redis, Settings(data_dir=tmp_path, reuse_bytes=10**7))
    house.open()
    yield house
    house.writers.close()
    assert all(scheduler.stop(drain=False, timeout=30) for scheduler in house.schedulers)


def reused(chapters):
    return [chapter.output.get("reused") for chapter in chapters]


def test_how_far_a_book_is_can_be_told_before_its_chapters_begin(books):
    """Chapters begin one after the other: without an expectation a book would always be nearly done."""
    text = "今天下雨。明天晴。\n\n他说：“好。”"
    data = json.dumps([{"title": f"第{number}章", "text": text} for number in range(1, 4)]).encode()
    book = books.submit(Kind.AUDIOBOOK, {}, [("chapters.json", "application/json", data)])
    assert books.run(book) is None
    before = books.queries.get(book)
    for child in books.children(book):
        books.runner.run(child.id, books.due.pop(child.id).sequence, books.speaker)
    after = books.queries.get(book)
    assert (before.done, after.done) == (0, after.total)
    assert before.total == after.total == 3 * 4


@pytest.mark.parametrize("kind", ["wav", "mp3", "opus"])
def test_a_chapters_file_says_where_it_belongs(books, kind):
    made, _ = books.speak(ONE, TWO, title="天气", author="王小明", format=kind)
    tags = {"title": "第二章 天", "album": "天气", "artist": "王小明", "track": "2/2"}
    assert books.tags(made[1], f".{kind}") == tags


def test_a_file_that_another_book_may_get_says_nothing_of_the_book(books):
    made, _ = books.speak(ONE, title="天气", author="王小明", format="mp3", reuse=True)
    assert books.tags(made[0], ".mp3") == {"title": ONE["title"]}
    moved, _ = books.speak(TWO, ONE, title="雨", format="mp3", reuse=True)
    assert reused(moved) == [None, made[0].id]
    assert books.tags(moved[1], ".mp3") == {"title": ONE["title"]}


@pytest.mark.parametrize(
    "found",
    [lambda _: book_of_chapters([("第一章 雨", "今天下雨。明天晴。")]), lambda _: book_of_chapters([("一", "")])],
)
def test_a_book_in_hand_outlasts_an_update_that_reads_its_source_otherwise(books, monkeypatch, found):
    made, manifest = books.speak(
        ONE, TWO, title="天气", before_assembly=lambda: monkeypatch.setattr(audiobooks, "book_of_chapters", found)
    )
    assert manifest["title"] == "天气"
    assert [chapter["title"] for chapter in manifest["chapters"]] == [ONE["title"], TWO["title"]]
    assert [chapter["characters"] for chapter in manifest["chapters"]] == [9, 8]
    assert len(made) == 2


def test_a_book_that_names_itself_nowhere_has_the_name_of_its_file(books):
    made, manifest = books.speak(file=("小河.txt", "text/plain", "今天下雨。".encode()))
    assert manifest["title"] == "小河"
    files = books.queries.get(made[0].parent).output_files
    assert files[0].name == "小河.m4b"
    with books.store.path(made[0].parent, files[0]) as path, av.open(str(path)) as opened:
        assert opened.metadata["title"] == "小河"
    _, manifest = books.speak(file=("a.md", "text/markdown", "---\ntitle: 河\n---\n今天下雨。".encode()))
    assert manifest["title"] == "河"


def test_a_book_made_again_is_answered_chapter_by_chapter(books):
    first, manifest = books.speak(ONE, TWO, reuse=True, subtitles=["srt"])
    assert reused(first) == [None, None]
    assert len(books.engine.said) == 4
    again, same = books.speak(ONE, TWO, reuse=True, subtitles=["srt"], title="Another title")
    assert reused(again) == [chapter.id for chapter in first]
    assert books.engine.said == []
    book = books.queries.get(again[0].parent)
    assert book.done == book.total == 4
    assert same["chapters"] == manifest["chapters"]
    assert [blob.key for chapter in again for blob in chapter.output_files] == [
        blob.key for chapter in first for blob in chapter.output_files
    ]


@pytest.mark.slow
def test_chapters_share_batches_and_all_workers_speak(books):
    """Two workers share a book; in each, the sentences of several chapters are one batch."""
    (one, first), (other, second) = books.worker(linger_seconds=1), books.worker(linger_seconds=1)
    chapters = [{"title": f"第{number}章", "text": "今天下雨。明天晴。"} for number in range(1, 9)]
    made, manifest = books.speak(*chapters, speakers=[first, second])
    assert len(one.said) == len(other.said) == 4 * 3
    assert max(one.rows) > 3, "a chapter has three sentences"
    assert max(other.rows) > 3
    assert [entry["title"] for entry in manifest["chapters"]] == [chapter["title"] for chapter in chapters]
    assert [chapter.index for chapter in made] == list(range(1, 9))


def test_only_the_chapter_that_was_changed_is_spoken_and_a_moved_one_has_its_new_number(books):
    first, _ = books.speak(ONE, TWO, reuse=True, format="mp3", subtitles=["srt", "json"])
    changed, manifest = books.speak(
        {"title": "序", "text": "你好。"}, ONE, TWO, reuse=True, format="mp3", subtitles=["srt", "json"]
    )
    assert reused(changed) == [None, first[0].id, first[1].id]
    assert len(books.engine.said) == 2
    moved = [blob.name for blob in changed[2].output_files]
    assert moved == ["03-第二章-天.mp3", "03-第二章-天.srt", "03-第二章-天.json", ".master.m4a"]
    assert [entry["file"] for entry in manifest["chapters"]] == ["01-序.mp3", "02-第一章-雨.mp3", "03-第二章-天.mp3"]
    assert [entry["sentences"] for entry in manifest["chapters"]] == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        {"voice": "demo/M7"},
        {"dialogue_voice": "demo/M7"},
        {"chapter_voices": {"1": "demo/M7"}},
        {"dictionary": {"下雨": "xia3 yu4"}},
        {"pauses": {"chapter": 3000}},
        {"loudness": "acx"},
        {"speed": 1.1},
        {"format": "flac"},
        {"speak_titles": False},
        {"subtitles": ["lrc"]},
    ],
    ids=str,
)
def test_other_work_is_done(books, other):
    books.speak(ONE, reuse=True)
    again, _ = books.speak(ONE, **{"reuse": True, **other})
    assert reused(again) == [None]
    assert books.engine.said


@pytest.mark.slow
@pytest.mark.parametrize("other", [{"text": "今天刮风。"}, {"title": "第一章 风"}, {"title": ""}], ids=str)
def test_another_text_or_title_is_other_work(books, other):
    books.speak(ONE, reuse=True)
    assert reused(books.speak({**ONE, **other}, reuse=True)[0]) == [None]


def test_the_servers_voice_is_the_same_work_by_whichever_name(books):
    first, _ = books.speak(ONE, reuse=True)
    again, _ = books.speak(ONE, reuse=True, voice="demo/F7")
    assert reused(again) == [first[0].id]


def test_another_checkpoint_or_who_does_not_ask_is_other_work(books):
    books.speak(ONE, reuse=True)
    assert reused(books.speak(ONE)[0]) == [None]
    books.engine.checkpoint = "def"
    assert reused(books.speak(ONE, reuse=True)[0]) == [None]


@pytest.mark.slow
def test_a_book_that_is_odd_everywhere_tells_the_worst_and_its_manifest_has_all(books, monkeypatch):
    """A record with the warnings of ten thousand chapters would be read at every look."""
    monkeypatch.setattr("jobs.record.MOST_WARNINGS", 3)
    odd = [{"title": f"第{number}章", "text": "今天下雨。\n\u0f56\u0f7c\u0f51"} for number in range(1, 5)]
    made, manifest = books.speak(*odd, {"title": "", "text": "\u0f56\u0f7c\u0f51"})
    warnings = books.queries.get(made[0].parent).output["warnings"]
    *worst, rest = warnings
    assert [(one["code"], one["at"]) for one in worst] == [("chapter_failed", 5), ("mostly_silent", 1), ("text", 1)]
    assert rest["code"] == "more_warnings"
    assert [len(entry["skipped_sentences"]) for entry in manifest["chapters"]] == [1, 1, 1, 1, 0]
    assert all(entry["warnings"] for entry in manifest["chapters"][:4])
    assert manifest["chapters"][4]["error"]


@pytest.mark.slow
def test_a_chapter_in_which_hardly_anything_can_be_spoken_keeps_its_record_small(books):
    text = "今天下雨。\n\n" + "\n\n".join("\u0f56\u0f7c\u0f51" for _ in range(150))
    [made], manifest = books.speak({"title": "", "text": text})
    warnings = made.output["warnings"]
    assert len(warnings) == 101
    assert warnings[0]["detail"] == "50 more sentences were left out and are not listed"
    assert warnings[-1]["code"] == "more_warnings"
    assert len(manifest["chapters"][0]["skipped_sentences"]) == 100
    assert manifest["chapters"][0]["sentences"] == 1
    _, manifest = books.speak({"title": "", "text": "今天下雨。\n\n" + 5000 * "\u0f56"})
    assert len(manifest["chapters"][0]["skipped_sentences"][0]) == 101
