"""Blobs: whole or not at all, in every store; and what a failing disk does."""

import contextlib
import hashlib
import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from jobs.connect import connect
from jobs.errors import NotFound, StoreError
from jobs.files import DiskStore, TooLarge, scratch
from jobs.ids import child_id, new_id
from jobs.record import Blob
from jobs.remote_files import FsspecStore, RedisStore, store_of
from jobs.settings import Settings
from tests.conftest import TinyDisk


@pytest.fixture
def disk(tmp_path):
    return DiskStore(tmp_path / "jobs")


@pytest.fixture(params=["disk", "redis", "memory", "file", pytest.param("s3", marks=pytest.mark.slow)])
def store(request, tmp_path, redis_url):
    match request.param:
        case "disk":
            return DiskStore(tmp_path / "jobs")
        case "redis":
            return RedisStore(connect(redis_url, decode=False), max_blob_bytes=10_000_000)
        case "memory":
            return FsspecStore(f"memory://{new_id()}")
        case "s3":
            return FsspecStore(request.getfixturevalue("object_store").url)
    return FsspecStore(f"file://{tmp_path}/objects")


def files_under(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


class TestEveryStore:
    def test_what_is_put_is_read_back(self, store):
        job_id, data = new_id(), os.urandom(3_000_000)
        blob = store.put(job_id, data, name="书.wav", media_type="audio/wav")
        assert blob == Blob(hashlib.sha256(data).hexdigest(), len(data), "书.wav", "audio/wav")
        with store.open(job_id, blob) as file:
            file.seek(1_000_000)
            assert file.read(10) == data[1_000_000:1_000_010]
        with store.path(job_id, blob) as path:
            assert path.read_bytes() == data

    def test_an_adopted_blob_stays_when_its_first_home_goes(self, store):
        first, second = new_id(), new_id()
        blob = store.put(first, b"sound", name="a.wav", media_type="audio/wav")
        away = replace(blob, home=first)
        assert store.adopt(second, away) == blob
        assert store.adopt(second, away) == blob, "a second time, too"
        store.remove_job(first)
        with store.open(second, blob) as file:
            assert file.read() == b"sound"
        with pytest.raises(NotFound):
            store.adopt(new_id(), away)

    def test_from_bytes_chunks_and_files(self, store, tmp_path):
        (tmp_path / "source").write_bytes(b"abc" * 100)
        sources = [b"abc" * 100, (b"abc" for _ in range(100)), tmp_path / "source"]
        job_id = new_id()
        assert len({store.put(job_id, source).key for source in sources}) == 1
        assert store.put(job_id, b"").bytes == 0

    def test_a_blob_of_another_home(self, store):
        parent = new_id()
        blob = store.put(parent, b"shared")
        elsewhere = Blob(blob.key, blob.bytes, "a", "b", parent)
        with store.open(child_id(parent, 0), elsewhere) as file:
            assert file.read() == b"shared"

    def test_over_the_cap_nothing_is_left(self, store):
        job_id = new_id()
        store.put(job_id, b"12345", max_bytes=5)
        with pytest.raises(TooLarge) as refused:
            store.put(job_id, (b"123" for _ in range(1000)), max_bytes=2999)
        assert refused.value.max_bytes == 2999
        store.remove(job_id, [hashlib.sha256(b"12345").hexdigest()])
        with pytest.raises(NotFound):
            store.open(job_id, Blob(hashlib.sha256(b"123" * 1000).hexdigest(), 3000))

    def test_an_upload_that_breaks_off_leaves_nothing(self, store):
        def broken():
            yield b"123"
            raise ConnectionResetError

        job_id = new_id()
        with pytest.raises((ConnectionResetError, StoreError)):
            store.put(job_id, broken())
        with pytest.raises(NotFound):
            store.open(job_id, Blob(hashlib.sha256(b"123").hexdigest(), 3))

    def test_removing(self, store):
        job_id, other = new_id(), new_id()
        one, two = store.put(job_id, b"1"), store.put(job_id, b"2")
        kept = store.put(other, b"1")
        assert set(store.job_ids()) == {job_id, other}
        store.remove(job_id, [one.key, "0" * 64])
        with pytest.raises(NotFound, match="not there any more"):
            store.open(job_id, one)
        assert store.open(job_id, two).read() == b"2"
        store.remove_job(job_id)
        store.remove_job(job_id)
        with pytest.raises(NotFound), store.path(job_id, two):
            pass
        assert store.open(other, kept).read() == b"1"
        assert set(store.job_ids()) == {other}

    def test_everything_is_listed(self, store):
        parent = new_id()
        ids = [parent, child_id(parent, 3), new_id()]
        put = {(job_id, store.put(job_id, data).key) for job_id in ids for data in (b"one", b"two")}
        assert sorted(store.blobs()) == sorted(put)
        store.owner("a ledger")  # leaves a mark
        store.remove_job(parent)
        assert {job_id for job_id, _ in store.blobs()} == set(ids[1:])

    def test_the_same_content_at_once(self, store):
        job_id, data = new_id(), os.urandom(500_000)
        barrier = threading.Barrier(6)

        def put(_):
            barrier.wait(30)
            return store.put(job_id, data)

        with ThreadPoolExecutor(6) as pool:
            [blob] = set(pool.map(put, range(6)))
        with store.open(job_id, blob) as file:
            assert file.read() == data

    def test_it_belongs_to_who_says_so_first(self, store):
        assert store.owner("one") == "one"
        assert store.owner("one") == "one"
        if not isinstance(store, RedisStore):
            assert store.owner("two") == "one"
        assert list(store.job_ids()) == []

    @pytest.mark.parametrize("job_id", ["../../etc", "a/b", "", "..", "i" * 26])
    def test_only_ids_are_folders(self, store, job_id):
        if isinstance(store, RedisStore):
            return  # a key of Redis has no path
        with pytest.raises(NotFound):
            store.put(job_id, b"x")


class TestDisk:
    def test_no_temporary_file_is_left_after_anything(self, disk):
        job_id = new_id()
        disk.put(job_id, b"whole")

        def dies():
            yield b"half"
            raise KeyboardInterrupt

        for bad, error in ((dies(), KeyboardInterrupt), ([b"123"], TooLarge)):
            with pytest.raises(error):
                disk.put(job_id, bad, max_bytes=2 if error is TooLarge else None)
        assert [path.name for path in files_under(disk.root)] == [hashlib.sha256(b"whole").hexdigest()]

    def test_a_reader_never_sees_half_of_it(self, disk):
        job_id = new_id()
        final = disk._folder(job_id) / hashlib.sha256(b"ab").hexdigest()
        seen = []

        def slowly():
            yield b"a"
            seen.append((final.exists(), len(files_under(disk.root))))
            yield b"b"

        disk.put(job_id, slowly())
        assert seen == [(False, 1)]  # there is a file, under a temporary name
        assert final.read_bytes() == b"ab"

    def test_a_file_that_is_open_can_be_read_while_its_job_is_removed(self, disk):
        job_id = new_id()
        blob = disk.put(job_id, b"still here")
        with disk.open(job_id, blob) as file:
            disk.remove_job(job_id)
            assert file.read() == b"still here"

    def test_a_job_that_was_removed_can_be_written_again(self, disk):
        job_id = new_id()
        disk.put(job_id, b"1")
        disk.remove_job(job_id)
        blob = disk.put(job_id, b"2")
        assert disk.open(job_id, blob).read() == b"2"

    def test_a_file_over_the_systems_limit(self, disk):
        job_id = new_id()
        with limited_files(100_000), pytest.raises(StoreError) as failed:
            disk.put(job_id, (bytes(10_000) for _ in range(100)))
        assert failed.value.code == "store_failed"
        assert files_under(disk.root) == []
        assert disk.put(job_id, b"fine again").bytes == 10

    @pytest.mark.parametrize(
        ("number", "code"),
        [("ENOSPC", "store_full"), ("EDQUOT", "store_full"), ("EROFS", "store_read_only"), ("EIO", "store_failed")],
    )
    def test_what_the_system_says_becomes_a_clear_failure(self, disk, monkeypatch, number, code):
        """The system's own call fails, at the moment when the bytes have to reach the disk."""
        import errno

        def fail(_):
            raise OSError(getattr(errno, number), number)

        monkeypatch.setattr("jobs.files.os.fsync", fail)
        disk.root.mkdir(parents=True)
        with pytest.raises(StoreError) as failed:
            disk.put(new_id(), b"x")
        assert failed.value.code == code
        assert files_under(disk.root) == []

    def test_a_store_that_cannot_be_written(self, tmp_path):
        (tmp_path / "jobs").write_text("a file where the folder should be")
        with pytest.raises(StoreError):
            DiskStore(tmp_path / "jobs").put(new_id(), b"x")

    def test_a_full_disk(self, tiny_disk):
        store, job_id = DiskStore(tiny_disk.folder / "jobs"), new_id()
        with pytest.raises(StoreError) as failed:
            store.put(job_id, (bytes(10_000) for _ in range(100)))
        assert failed.value.code == "store_full"
        assert files_under(tiny_disk.folder) == []
        assert store.put(job_id, b"small").bytes == 5

    def test_a_disk_that_has_become_read_only(self, tiny_disk):
        store, job_id = DiskStore(tiny_disk.folder / "jobs"), new_id()
        blob = store.put(job_id, b"kept")
        tiny_disk.make_read_only()
        for call in (
            lambda: store.put(job_id, b"new"),
            lambda: store.put(new_id(), b"new"),
            lambda: store.remove(job_id, [blob.key]),
            lambda: store.remove_job(job_id),
        ):
            with pytest.raises(StoreError) as failed:
                call()
            assert failed.value.code == "store_read_only"
        assert store.open(job_id, blob).read() == b"kept"


class TestScratch:
    @pytest.mark.parametrize("library_says", [None, RuntimeError("System error.")])
    def test_a_full_disk_is_named_whatever_a_library_makes_of_it(self, tiny_disk, monkeypatch, library_says):
        monkeypatch.setattr("tempfile.tempdir", str(tiny_disk.folder))

        def write(file):
            try:
                file.write_bytes(bytes(2 * TinyDisk.SIZE))
            except OSError as error:
                raise library_says or error from None

        with pytest.raises(StoreError) as failed, scratch() as folder:
            write(folder / "sound.wav")
        assert failed.value.code == "store_full"
        assert files_under(tiny_disk.folder) == []

    def test_other_errors_stay_what_they_are(self, monkeypatch):
        with pytest.raises(ZeroDivisionError), scratch():
            raise ZeroDivisionError

    def test_no_place_for_temporary_files(self, monkeypatch, tmp_path):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        with pytest.raises(StoreError, match="making a temporary folder"), scratch():
            pass


class TestRedis:
    def test_over_its_own_cap(self, redis_url):
        store = RedisStore(connect(redis_url, decode=False), max_blob_bytes=10)
        with pytest.raises(StoreError, match="VOXQUEUE_REDIS_BLOB_BYTES=10"):
            store.put(new_id(), bytes(11))

    def test_blobs_of_a_job_that_waits_stay_until_they_are_removed(self, redis, redis_url):
        store = RedisStore(connect(redis_url, decode=False), max_blob_bytes=10)
        store.put(job_id := new_id(), b"x")
        assert redis.ttl(f"vq:blobs:{job_id}") == -1
        assert list(store.job_ids()) == [job_id], "the sweeps for orphans see it"
        store.remove_job(job_id)
        assert redis.keys("vq:blobs:*") == []

    def test_what_an_older_version_let_expire_stays_too_once_something_is_added(self, redis, redis_url):
        store = RedisStore(connect(redis_url, decode=False), max_blob_bytes=10)
        old = store.put(job_id := new_id(), b"old")
        redis.expire(f"vq:blobs:{job_id}", 100)
        store.put(job_id, b"new")
        assert redis.ttl(f"vq:blobs:{job_id}") == -1
        assert store.open(job_id, old).read() == b"old"

    def test_redis_away(self):
        store = RedisStore(connect("redis://127.0.0.1:1", retries=0), max_blob_bytes=10)
        with pytest.raises(StoreError, match="Redis failed"):
            store.put(new_id(), b"x")


class TestAnyFsspecUrl:
    def test_another_processs_blob_is_seen_after_a_listing(self, tmp_path):
        one, two = FsspecStore(f"file://{tmp_path}"), FsspecStore(f"file://{tmp_path}")
        assert list(two.job_ids()) == []
        blob = one.put(job_id := new_id(), b"x")
        assert list(two.job_ids()) == [job_id]
        assert two.open(job_id, blob).read() == b"x"

    def test_a_scheme_that_nobody_knows(self):
        with pytest.raises(StoreError, match="VOXQUEUE_RESULTS=nowhere://x"):
            FsspecStore("nowhere://x")


def test_the_settings_choose_the_store(tmp_path, redis_url):
    common = {"data_dir": tmp_path, "redis_url": redis_url}
    assert isinstance(store_of(Settings(results="disk", **common)), DiskStore)
    remote = store_of(Settings(results="redis", **common))
    blob = remote.put(job_id := new_id(), b"\xff\x00")
    assert remote.open(job_id, blob).read() == b"\xff\x00"
    assert isinstance(store_of(Settings(results="memory://x", **common)), FsspecStore)
    assert "memory" in fsspec.available_protocols()


@contextlib.contextmanager
def limited_files(size):
    """Let no file of this process grow over `size` bytes (EFBIG beyond)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
