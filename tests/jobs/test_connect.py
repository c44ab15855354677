"""Addresses of Redis: plain, with TLS, and with sentinels before it; what each says to redis-py and to Celery."""

import shutil
import ssl
import subprocess
import threading

import pytest
from celery import Celery
from redis import RedisError

from jobs.broker import Broker
from jobs.connect import Address, BadAddress, connect
from jobs.ids import new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.states import Kind
from tests.conftest import TlsDoor, free_port, wait_until

SENTINELS = "sentinel://:p%40ss@a:1,b,c:3/5?master=vox&sentinel_password=other"


def celery_at(url):
    """Return an application as the program makes it."""
    celery, found = Celery("test"), Address.parse(url).for_celery()
    celery.conf.update(broker_url=found["broker_url"], broker_use_ssl=found["broker_use_ssl"])
    celery.conf.broker_transport_options = {"priority_steps": list(range(10)), "sep": ":", **found["options"]}
    return celery


def new_job():
    return NewJob(new_id(), Kind.TTS, "tts", 4, "ann", "{}")


class TestAddress:
    def test_a_plain_one_is_left_as_it_is(self):
        for url in ("redis://u:p@host:1/2", "redis://host", "redis://host/0?protocol=3", "unix:///run/redis.sock?db=1"):
            assert Address.parse(url).for_celery() == {"broker_url": url, "broker_use_ssl": None, "options": {}}

    def test_what_tls_needs_goes_to_both_clients(self):
        found = Address.parse("rediss://host/0?ssl_ca_certs=/ca.pem&protocol=3").for_celery()
        assert found["broker_url"] == "rediss://host/0?protocol=3"
        assert found["broker_use_ssl"] == {
            "ssl_ca_certs": "/ca.pem",
            "ssl_cert_reqs": ssl.CERT_REQUIRED,
            "ssl_check_hostname": True,
        }

    def test_sentinels(self):
        address = Address.parse(SENTINELS)
        assert address.sentinels == (("a", 1), ("b", 26379), ("c", 3))
        assert (address.master, address.password, address.username, address.database) == ("vox", "p@ss", None, 5)
        found = address.for_celery()
        assert found["broker_url"].split(";") == [f"sentinel://:p%40ss@{host}/5" for host in ("a:1", "b:26379", "c:3")]
        assert found["options"]["master_name"] == "vox"
        assert found["options"]["sentinel_kwargs"]["password"] == "other"
        assert "ssl" not in found["options"]["sentinel_kwargs"]
        secure = Address.parse(SENTINELS.replace("sentinel:", "sentinels:") + "&ssl_ca_certs=/ca").for_celery()
        assert secure["broker_use_ssl"]["ssl_ca_certs"] == "/ca"
        assert secure["options"]["sentinel_kwargs"]["ssl"]

    @pytest.mark.parametrize(
        "url",
        [
            "sentinel://:secret@a:1/0",
            "sentinel://:secret@/0?master=m",
            "sentinel://:secret@a:b/0?master=m",
            "sentinel://:secret@a:1/x?master=m",
            "redis://:secret@a/0?ssl_ca_certs=/ca.pem",
        ],
    )
    def test_what_cannot_be_read_is_told_without_the_password(self, url):
        with pytest.raises(BadAddress, match="VOXQUEUE_REDIS_URL") as refused:
            connect(url)
        assert "secret" not in str(refused.value)


def assert_ledger_and_broker_work(url):
    redis = connect(url)
    ledger, broker = Ledger(redis), Broker(celery_at(url), redis)
    delivery = ledger.submit(new_job()).delivery
    broker.send([delivery])
    assert broker.oldest("tts", 4) == delivery.sequence
    assert isinstance(ledger.claim(delivery.id, delivery.sequence, "w"), Claim)


class TestTls:
    def test_ledger_and_broker_come_in_with_a_certificate(self, tls_door):
        assert_ledger_and_broker_work(tls_door.url_with_certificate)

    def test_nobody_comes_in_without_one(self, tls_door):
        with pytest.raises(RedisError):
            connect(tls_door.url, retries=0).ping()

    def test_a_server_that_another_authority_vouches_for_is_not_trusted(self, tls_door, tmp_path):
        (tmp_path / "other").mkdir()
        other = TlsDoor(1, tmp_path / "other")
        url = tls_door.url_with_certificate.replace(str(tls_door.ca), str(other.ca))
        with pytest.raises(RedisError, match="certificate verify failed"):
            connect(url, retries=0).ping()
        with pytest.raises(RedisError, match="certificate verify failed"):
            connect(f"rediss://127.0.0.1:{tls_door.port}/0", retries=0).ping()

    def test_a_server_that_speaks_tls_itself(self, tls_door, native):
        port = native("server", "")
        wait_until(connect(self.at(tls_door, port), retries=0).ping)
        assert_ledger_and_broker_work(self.at(tls_door, port))

    def test_servers_and_sentinels_that_speak_tls_and_have_passwords(self, tls_door, native):
        server = native("server", "requirepass of-the-server\n")
        monitor = f"sentinel monitor vox 127.0.0.1 {server} 1\nsentinel auth-pass vox of-the-server\n"
        sentinel = native("sentinel", f"requirepass of-the-sentinel\n{monitor}", "--sentinel")
        query = self.at(tls_door, sentinel).partition("?")[2]
        names = "master=vox&sentinel_password=of-the-sentinel"
        url = f"sentinels://:of-the-server@127.0.0.1:{sentinel}/0?{names}&{query}"
        wait_until(connect(url, retries=0).ping)
        assert_ledger_and_broker_work(url)

    @staticmethod
    def at(door, port):
        return door.url_with_certificate.replace(f":{door.port}/", f":{port}/")

    @pytest.fixture
    def native(self, tls_door, tmp_path):
        """Start servers that were built with TLS, as Debian's is and Valkey's wheel is not; gives their ports."""
        program = shutil.which("redis-server")
        if not program:
            pytest.skip("no redis-server on PATH: TLS WAS TESTED THROUGH A DOOR BEFORE VALKEY ONLY")
        processes = []
        pem = tls_door.ca.parent / "server.pem"

        def start(name, config, *options):
            folder, port = tmp_path / name, free_port()
            folder.mkdir()
            (folder / "conf").write_text(
                f'port 0\ntls-port {port}\nbind 127.0.0.1\ndir {folder}\nsave ""\ntls-replication yes\n'
                f"tls-ca-cert-file {tls_door.ca}\ntls-cert-file {pem}\ntls-key-file {pem}\n{config}"
            )
            command = [program, str(folder / "conf"), *options]
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            return port

        yield start
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_jobs_outlive_a_primary_that_dies_while_they_come(sentinel_group):
    """Nothing that was acknowledged after the failover is lost, and what was before it had reached the replica."""
    url = sentinel_group.url
    redis = connect(url)
    ledger, broker = Ledger(redis), Broker(celery_at(url), redis)
    assert_ledger_and_broker_work(url)
    kept = []
    for _ in range(100):
        found = ledger.submit(new_job())
        broker.send([found.delivery])
        kept.append(found.id)
    assert redis.wait(1, 5000) == 1
    over = threading.Event()

    def go_on():
        while not over.is_set():
            try:
                found = ledger.submit(new_job())
            except RedisError:
                continue
            if sentinel_group.failed_over:
                kept.append(found.id)

    clients = threading.Thread(target=go_on)
    clients.start()
    sentinel_group.kill_primary()
    before = len(kept)
    wait_until(lambda: len(kept) > before + 20)
    over.set()
    clients.join()
    assert connect(url).info("replication")["role"] == "master"
    assert all(redis.exists(f"vq:job:{job_id}") for job_id in kept)
    delivery = ledger.submit(new_job()).delivery
    broker.send([delivery])  # over a connection of before
    assert redis.llen("tts:4") >= 101
    assert isinstance(ledger.claim(delivery.id, delivery.sequence, "w"), Claim)
