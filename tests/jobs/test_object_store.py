"""Blobs in S3, on a real server: published whole, read in ranges, and what an outage leaves behind."""

import hashlib
import os

import pytest

from jobs.errors import NotFound, StoreError
from jobs.ids import child_id, new_id
from jobs.record import Blob
from jobs.remote_files import CHUNK, FsspecStore
from tests.conftest import ObjectStore, forget_file_systems

pytestmark = pytest.mark.slow
LARGE = 120 * CHUNK
"""More than one part of an upload (s3fs cuts at 100 MB)."""


@pytest.fixture
def store(object_store):
    return FsspecStore(object_store.url)


@pytest.fixture
def own_object_store(monkeypatch):
    """Give a server of the test's own, to be killed."""
    server = ObjectStore().start()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    forget_file_systems()
    yield server
    server.kill()


def fails_at(call):
    """Yield chunks, and do something to the store before the last one."""
    yield b"half"
    call()
    yield b"whole"


def test_an_object_is_named_by_its_content_and_lies_under_its_job(store, object_store):
    blob = store.put(job_id := new_id(), b"sound", name="书.wav")
    assert object_store.keys() == ([f"results/{job_id[-2:]}/{job_id}/{blob.key}"], [])


def test_nothing_is_seen_before_the_last_byte(store, object_store):
    job_id, seen = new_id(), []
    blob = store.put(job_id, fails_at(lambda: seen.append(object_store.keys())))
    assert seen == [([], [])]
    assert store.open(job_id, blob).read() == b"halfwhole"


def test_a_large_file_goes_up_in_parts_and_ranges_of_it_come_back(store, object_store, tmp_path):
    data = os.urandom(LARGE)
    (tmp_path / "large").write_bytes(data)
    job_id = new_id()
    blob = store.put(job_id, tmp_path / "large")
    assert blob.key == hashlib.sha256(data).hexdigest()
    assert len(object_store.keys()[0]) == 1
    with store.open(job_id, blob) as file:
        for start, length in ((0, 10), (100 * CHUNK, 10 * CHUNK), (LARGE - 7, 100), (3, 1)):
            file.seek(start)
            assert file.read(length) == data[start : start + length]


def test_a_late_writer_of_the_same_content_writes_nothing(store, object_store):
    blob = store.put(job_id := new_id(), b"sound")
    key = f"results/{job_id[-2:]}/{job_id}/{blob.key}"
    written = object_store.client.head_object(Bucket="bucket", Key=key)["LastModified"]
    assert store.put(job_id, b"sound") == blob
    assert object_store.client.head_object(Bucket="bucket", Key=key)["LastModified"] == written


def test_what_was_cut_off_is_written_anew(store, object_store):
    """Not S3 itself, but some of what fsspec reaches, shows a file while it grows."""
    job_id, key = new_id(), hashlib.sha256(b"sound").hexdigest()
    object_store.client.put_object(Bucket="bucket", Key=f"results/{job_id[-2:]}/{job_id}/{key}", Body=b"sou")
    assert store.open(job_id, store.put(job_id, b"sound")).read() == b"sound"


def test_jobs_are_listed_and_removed_with_all_they_have(store, object_store):
    ids = {new_id() for _ in range(5)} | {child_id(new_id(), 7)}
    for job_id in ids:
        for content in (b"1", b"2"):
            store.put(job_id, content)
    assert set(store.job_ids()) == ids
    for job_id in ids:
        store.remove_job(job_id)
    assert object_store.keys() == ([], [])
    assert list(store.job_ids()) == []


def test_a_bucket_that_is_not_there(object_store):
    store = FsspecStore("s3://no-such-bucket/results")
    with pytest.raises(StoreError, match="no-such-bucket"):
        store.put(new_id(), b"x")


def test_wrong_keys_are_a_failure_and_no_missing_file(object_store, monkeypatch):
    store = FsspecStore(object_store.url)

    def refuse(*_):
        raise PermissionError("Forbidden")  # as s3fs translates a 403

    monkeypatch.setattr(store._fs, "open", refuse)
    with pytest.raises(StoreError, match="Forbidden"):
        store.open(new_id(), Blob("0" * 64, 1))


def test_a_server_that_is_away_fails_clearly_and_all_is_well_when_it_is_back(own_object_store):
    store = FsspecStore(own_object_store.url)
    blob = store.put(job_id := new_id(), b"kept")
    own_object_store.kill()
    for call in (
        lambda: store.put(job_id, b"lost"),
        lambda: store.open(job_id, blob),
        lambda: store.remove_job(job_id),
        lambda: list(store.job_ids()),
    ):
        with pytest.raises(StoreError, match=r"the object store bucket/results failed: .*connect"):
            call()
    own_object_store.start()  # this one forgets what it had
    with pytest.raises(NotFound):
        store.open(job_id, blob)
    assert store.open(job_id, store.put(job_id, b"again")).read() == b"again"


def test_a_server_that_goes_while_a_file_is_read_or_sent(own_object_store):
    store = FsspecStore(own_object_store.url)
    job_id, data = new_id(), os.urandom(20 * CHUNK)
    blob = store.put(job_id, data)
    file = store.open(job_id, blob)
    assert file.read(CHUNK) == data[:CHUNK]
    with pytest.raises(StoreError):
        store.put(job_id, fails_at(own_object_store.kill))
    with pytest.raises(StoreError), store.path(job_id, blob):
        pass
    file.seek(15 * CHUNK)
    with pytest.raises(StoreError):
        file.read()
