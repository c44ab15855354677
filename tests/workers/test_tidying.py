"""Files that belong to no job go once they are old; jobs whose files are gone are failed; everything else stays."""

import time

import pytest

from jobs.files import DiskStore
from jobs.ids import made_at, new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output
from jobs.settings import Settings
from jobs.states import Kind, Status
from workers import tidying
from workers.tidying import Tidier


class Desk:
    """Makes jobs with files."""

    def __init__(self, redis, folder):
        self.ledger, self.queries, self.store = Ledger(redis), Queries(redis), DiskStore(folder)
        self.tidier = Tidier(self.ledger, self.store, Settings(orphan_seconds=100), worker="w")

    def submit(self):
        return self.ledger.submit(NewJob(new_id(), Kind.TTS, "tts", 4, "o", "{}", characters=3)).delivery

    def succeed(self):
        """End a job with two files and a text."""
        delivery = self.submit()
        claim = self.ledger.claim(delivery.id, delivery.sequence, "w")
        assert isinstance(claim, Claim)
        files = tuple(self.store.put(claim.id, data, name=f"{data.decode()}.wav") for data in (b"one", b"two"))
        self.ledger.succeed(claim, Output(files=files, text="kept"))
        return claim.id


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
        assert sorted(desk.tidier.fail_without_files()) == [gone], "a file of several is not looked for"
        job = desk.queries.get(gone)
        assert (job.status, job.error["type"]) == (Status.FAILED, "files_lost")
        assert (job.output_files, job.output["text"]) == ((), "kept")
        assert {desk.queries.get(job_id).status for job_id in whole} == {Status.SUCCEEDED}
        assert desk.tidier.fail_without_files() == []
        assert desk.tidier.without_files == 1
        desk.ledger.retry(gone, lambda _: None)
        assert desk.queries.get(gone).status is Status.QUEUED
        assert redis.hget("vq:characters", "*") == "3"

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
