"""Files that belong to no job go once they are old; jobs whose files are gone are failed; everything else stays."""

import os
import time
from dataclasses import replace

import pytest

from jobs.files import DiskStore
from jobs.ids import child_id, made_at, new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output
from jobs.settings import Settings
from jobs.states import Kind, Phase, Status
from workers import tidying
from workers.tidying import Tidier


class Desk:
    """Makes jobs with files."""

    def __init__(self, redis, folder):
        self.ledger, self.queries, self.store = Ledger(redis), Queries(redis), DiskStore(folder)
        self.tidier = Tidier(self.ledger, self.store, Settings(orphan_seconds=100), worker="w")

    def submit(self):
        return self.ledger.submit(NewJob(new_id(), Kind.TTS, "tts", 4, "o", "{}", characters=3)).delivery

    def claim(self, delivery):
        claim = self.ledger.claim(delivery.id, delivery.sequence, "w")
        assert isinstance(claim, Claim)
        return claim

    def succeed(self, delivery=None):
        """End a job with two files and a text."""
        claim = self.claim(delivery or self.submit())
        files = tuple(self.store.put(claim.id, data, name=f"{data.decode()}.wav") for data in (b"one", b"two"))
        self.ledger.succeed(claim, Output(files=files, text="kept"))
        return claim.id

    def family(self):
        """End a book of two chapters, whose files it lists beside one of its own. Return its ID and theirs."""
        parent, line = new_id(), ("cpu", 7, "o", "{}")
        new = NewJob(parent, Kind.AUDIOBOOK, *line, phase=Phase.PLANNING)
        planner = self.claim(self.ledger.submit(new).delivery)
        ids = [child_id(parent, index) for index in range(2)]
        chapters = [NewJob(one, Kind.CHAPTER, *line, parent=parent, index=index) for index, one in enumerate(ids)]
        deliveries = [one.delivery for one in self.ledger.submit_many(chapters)]
        self.ledger.wait_for_children(planner)
        first = self.succeed(deliveries[0])
        self.assemble(self.commit_chapter(deliveries[1]), ids)
        return parent, [first, ids[1]]

    def commit_chapter(self, delivery):
        """End a book's last chapter; return the delivery of the book."""
        claim = self.claim(delivery)
        return self.ledger.succeed(claim, Output(files=(self.store.put(claim.id, b"one", name="one.wav"),)))

    def assemble(self, delivery, chapters):
        claim = self.claim(delivery)
        theirs = [replace(self.queries.get(one).output_files[0], home=one) for one in chapters]
        own = self.store.put(claim.id, b"book", name="book.m4b")
        self.ledger.succeed(claim, Output(files=(own, *theirs)))


@pytest.fixture
def desk(redis, tmp_path):
    return Desk(redis, tmp_path)


def test_an_id_tells_when_it_was_made():
    assert abs(made_at(new_id()) - time.time()) < 5
    parent = new_id()
    assert made_at(f"{parent}.00007") == made_at(parent)


def test_old_files_without_a_job_go_and_all_others_stay(desk, monkeypatch):
    orphan, young, owned = new_id(), new_id(), desk.submit().id
    for job_id in (orphan, young, owned):
        desk.store.put(job_id, b"content")
    monkeypatch.setattr(tidying, "made_at", lambda job_id: 0 if job_id in {orphan, owned} else time.time())
    assert desk.tidier.remove_orphans() == [orphan]
    assert sorted(desk.store.job_ids()) == sorted([young, owned])
    assert desk.tidier.orphans == 1


def test_what_a_dead_writer_left_in_the_folder_of_a_job_goes_once_it_is_old(desk, caplog):
    folder = desk.store._folder(desk.succeed())
    old, young = folder / ".part-old", folder / ".part-young"
    for file in (old, young):
        file.write_bytes(b"hal")
    os.utime(old, (0, 0))
    before = set(folder.iterdir())
    for file in before - {old, young}:
        os.utime(file, (0, 0))
    desk.tidier.look_around()
    assert set(folder.iterdir()) == before - {old}
    assert "removed 1 files" in caplog.text


def test_the_trash_is_emptied_and_what_cannot_be_removed_stays_in_it(desk, monkeypatch):
    ids = [desk.succeed() for _ in range(3)]
    for job_id in ids:
        desk.ledger.delete(job_id)
    stuck, remove = ids[1], desk.store.remove_job

    def fail(job_id):
        if job_id == stuck:
            raise OSError("stuck")
        remove(job_id)

    monkeypatch.setattr(desk.store, "remove_job", fail)
    with pytest.raises(OSError, match="stuck"):
        desk.tidier.empty_trash()
    assert stuck in desk.ledger.trash()
    monkeypatch.setattr(desk.store, "remove_job", remove)
    desk.tidier.empty_trash()
    assert desk.ledger.trash() == []
    assert list(desk.store.job_ids()) == []


class TestJobsWithoutFiles:
    def test_are_failed_keep_their_words_and_can_be_retried(self, desk, redis):
        whole = [desk.succeed() for _ in range(3)]
        gone, half = desk.succeed(), desk.succeed()
        desk.store.remove_job(gone)
        [one, _] = desk.queries.get(half).output_files
        desk.store.remove(half, [one.key])
        assert sorted(desk.tidier.fail_without_files()) == [gone, half]
        for job in map(desk.queries.get, (gone, half)):
            assert (job.status, job.error["type"]) == (Status.FAILED, "files_lost")
            assert (job.output_files, job.output["text"]) == ((), "kept")
        assert {desk.queries.get(job_id).status for job_id in whole} == {Status.SUCCEEDED}
        assert desk.tidier.fail_without_files() == []
        assert desk.tidier.without_files == 2
        desk.ledger.retry(gone, lambda _: None)
        assert desk.queries.get(gone).status is Status.QUEUED
        assert redis.hget("vq:characters", "*") == "3"

    def test_a_book_and_the_chapter_that_lacks_them_are_made_anew_together(self, desk):
        for _ in range(2):
            desk.succeed()
        book, [whole, chapter] = desk.family()
        other, [_, kept] = desk.family()
        desk.store.remove(chapter, [desk.queries.get(chapter).output_files[0].key])
        version = desk.queries.get(book).version
        assert desk.tidier.fail_without_files() == [book, chapter]
        assert desk.queries.get(book).version > version + 1, "who watches the book hears of the chapter, too"
        assert {desk.queries.get(job_id).status for job_id in (whole, kept, other)} == {Status.SUCCEEDED}
        again = []
        desk.ledger.retry(book, again.extend)
        assert [delivery.id for delivery in again] == [chapter]
        assert desk.queries.get(book).phase is Phase.WAITING
        desk.assemble(desk.commit_chapter(again[0]), [whole, chapter])
        assert desk.queries.get(book).status is Status.SUCCEEDED
        assert desk.tidier.fail_without_files() == []

    def test_a_chapter_of_a_book_that_has_failed_is_looked_at_too(self, desk):
        for _ in range(3):
            desk.succeed()
        book, [chapter, _] = desk.family()
        assert desk.ledger.lose_files(desk.queries.get(book), tidying.FILES_LOST)
        desk.store.remove_job(chapter)
        assert desk.tidier.fail_without_files() == [chapter]

    def test_are_looked_for_page_by_page(self, desk, monkeypatch):
        monkeypatch.setattr(tidying, "MAX_PAGE", 1)
        book, [_, chapter] = desk.family()
        ids = [desk.succeed() for _ in range(4)]
        for job_id in (ids[0], chapter):
            desk.store.remove_job(job_id)
        assert desk.tidier.fail_without_files() == [ids[0], book, chapter]

    def test_are_left_alone_when_the_store_itself_is_not_there(self, desk, caplog):
        ids = [desk.succeed() for _ in range(3)]
        for job_id in ids:
            desk.store.remove_job(job_id)
        assert desk.tidier.fail_without_files() == []
        assert "3 of 3 jobs are not in the store" in caplog.text
        assert {desk.queries.get(job_id).status for job_id in ids} == {Status.SUCCEEDED}

    def test_are_left_alone_when_they_have_changed_meanwhile(self, desk):
        job = desk.queries.get(desk.succeed())
        desk.ledger.delete(job.id)
        assert not desk.ledger.lose_files(job, tidying.FILES_LOST)


def test_files_of_another_ledger_are_left_alone(desk, monkeypatch, caplog):
    """Two stacks with a Redis each and one folder between them: each takes the other's files for orphans."""
    monkeypatch.setattr(tidying, "made_at", lambda _: 0)
    monkeypatch.setattr(desk.ledger, "identity", lambda: "theirs")
    desk.tidier.look_around()
    monkeypatch.undo()
    monkeypatch.setattr(tidying, "made_at", lambda _: 0)
    orphan = new_id()
    desk.store.put(orphan, b"theirs, to us an orphan")
    desk.tidier.look_around()
    assert "belongs to another ledger" in caplog.text
    assert list(desk.store.job_ids()) == [orphan]
    (desk.store.root / ".owner").unlink()
    desk.tidier.look_around()
    assert list(desk.store.job_ids()) == []


def test_one_of_several_tidies_up_at_a_time(desk, redis):
    other = Tidier(desk.ledger, desk.store, Settings(), worker="x")
    assert desk.tidier._my_turn("tidied", 10)
    assert not other._my_turn("tidied", 10)
    assert 9_000 < redis.pttl("vq:tidied") < 10_000
