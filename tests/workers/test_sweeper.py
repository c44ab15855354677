"""Files that belong to no job are removed once they are old; everything else stays."""

import time

import pytest

from jobs.files import DiskStore
from jobs.ids import made_at, new_id
from jobs.ledger import Ledger, NewJob
from jobs.settings import Settings
from jobs.states import Kind
from workers import sweeper as module
from workers.sweeper import Sweeper


class NoBroker:
    """Nothing is sent here."""


@pytest.fixture
def sweeper(redis, tmp_path):
    made = Sweeper(Ledger(redis), NoBroker(), DiskStore(tmp_path), None, Settings(orphan_seconds=100), worker="w")
    made.store = made._store
    return made


def test_an_id_tells_when_it_was_made():
    assert abs(made_at(new_id()) - time.time()) < 5
    parent = new_id()
    assert made_at(f"{parent}.00007") == made_at(parent)


def test_old_files_without_a_job_go_and_all_others_stay(sweeper, redis, monkeypatch):
    orphan, young, owned = new_id(), new_id(), new_id()
    sweeper._ledger.submit(NewJob(id=owned, kind=Kind.TTS, queue="tts", priority=4, owner="o", spec="{}"))
    for job_id in (orphan, young, owned):
        sweeper.store.put(job_id, b"content")
    monkeypatch.setattr(module, "made_at", lambda job_id: 0 if job_id in {orphan, owned} else time.time())
    assert sweeper.sweep_orphans() == [orphan]
    assert sorted(sweeper.store.job_ids()) == sorted([young, owned])
