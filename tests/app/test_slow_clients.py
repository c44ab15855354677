"""Clients that send or take next to nothing, over real sockets: they hold up nobody, and are cut off."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from jobs.ledger import Claim, Ledger
from jobs.record import Output
from jobs.remote_files import store_of
from jobs.settings import Settings
from tests.app.conftest import ROOT
from tests.conftest import PATIENCE, free_port

pytestmark = pytest.mark.slow
MANY = 200
HEAD = b"POST /v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
IMPATIENT = """
from app.gunicorn_conf import *
from app import patience

patience.SILENCE_SECONDS = {silence}
patience.PATIENCE_SECONDS = {patience}
keepalive = {keepalive}
"""


class Door:
    """A web process with a log."""

    def __init__(self, folder, redis_url, *, results="disk", **times):
        self.port, self.log = free_port(), folder / "web.log"
        conf = folder / "conf.py"
        conf.write_text(IMPATIENT.format(**{"silence": 60, "patience": 60, "keepalive": 15, **times}))
        results = results.format(folder=folder)
        self.settings = Settings(data_dir=folder / "data", redis_url=redis_url, results=results)
        environment = {
            **os.environ,
            "VOXQUEUE_REDIS_URL": redis_url,
            "VOXQUEUE_PORT": str(self.port),
            "VOXQUEUE_API_KEYS": "",
            "VOXQUEUE_DATA_DIR": str(folder / "data"),
            "VOXQUEUE_RESULTS": results,
        }
        command = [sys.executable, "-m", "gunicorn", "--config", str(conf), "app:create_app()"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            assert time.monotonic() < end
            time.sleep(0.02)

    def connect(self, receive_buffer=None):
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def submit(self):
        return self.ask("POST", "/v1/tts", {"text": "你好。"})

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


@pytest.fixture(scope="module")
def door_of(valkey, tmp_path_factory):
    """Start web processes."""
    with contextlib.ExitStack() as stack:

        def start(**times):
            found = Door(tmp_path_factory.mktemp("door"), valkey.url, **times)
            stack.callback(found.close)
            return found

        yield start


@pytest.fixture(scope="module")
def door(door_of):
    """A web process as it is delivered."""
    return door_of()


@pytest.fixture(scope="module", params=["disk", "file://{folder}/objects"], ids=["greenlets", "threads"])
def impatient(door_of, request):
    """A web process that loses its patience soon; with results in an object store it has threads."""
    return door_of(results=request.param, silence=0.5, patience=1, keepalive=1)


@pytest.fixture
def recording(redis):
    """Finish a job with a file of 20 MB, over the web process; give the file's address."""

    def finish(found):
        job_id = json.loads(found.submit()[1])["id"]
        ledger = Ledger(redis)
        claim = ledger.claim(job_id, int(redis.hget(f"vq:job:{job_id}", "token")), "hand")
        assert isinstance(claim, Claim)
        blob = store_of(found.settings).put(job_id, bytes(20_000_000), name="long.wav", media_type="audio/wav")
        ledger.succeed(claim, Output(files=(blob,)))
        return f"/v1/jobs/{job_id}/files/long.wav"

    return finish


def answer_of(connection):
    """Return all that comes until the end of a connection."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    return found


def test_200_of_each_kind_of_slow_client_hold_up_no_submit(door, recording):
    path = recording(door).encode()
    job = json.loads(door.submit()[1])["id"].encode()
    openings = [
        b"POST /v1/tts HTTP/1.1\r\nHost: loc",
        HEAD + b"Content-Length: 1000\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n{",
        b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/jobs/" + job + b"/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]
    slow = [(door.connect(receive_buffer=4096), opening) for opening in openings for _ in range(MANY)]
    try:
        for connection, opening in slow:
            connection.sendall(opening)
        for _ in range(5):
            assert door.submit()[0] == 202
        for connection, opening in slow[: 3 * MANY]:
            connection.sendall(b"x" if b"\r\n\r\n" in opening else b"a")  # a byte more, as slowly as they come
        assert door.submit()[0] == 202
    finally:
        for connection, _ in slow:
            connection.close()
    assert door.submit()[0] == 202


def test_headers_that_never_end_are_cut_off_though_they_drip(impatient):
    connection = impatient.connect()
    connection.sendall(b"GET /healthz HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionError):
        for number in range(int(PATIENCE / 0.2)):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.2)
        pytest.fail("it was never cut off")


@pytest.mark.parametrize("framing", [b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n{"])
def test_a_body_that_stops_is_answered_408_and_its_connection_closed(impatient, framing):
    connection = impatient.connect()
    connection.sendall(HEAD + framing)
    answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b'"code": "too_slow"' in answer
    assert answer.count(b"HTTP/1.1") == 1


def test_a_body_that_drips_is_cut_off_though_it_never_stops(impatient):
    connection = impatient.connect()
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(int(PATIENCE / 0.1)):
            connection.sendall(b" ")
            time.sleep(0.1)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                assert connection.recv(12) in {b"HTTP/1.1 408", b""}
                return
            connection.setblocking(True)
    pytest.fail("it was never cut off")


def test_an_upload_that_pauses_within_reason_is_taken_whole(door):
    body = json.dumps({"text": "慢慢来。" * 100}).encode()
    connection = door.connect()
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body))
    for start in range(0, len(body), 200):
        connection.sendall(body[start : start + 200])
        time.sleep(0.05)
    assert connection.recv(12) == b"HTTP/1.1 202"


def test_a_download_that_is_not_taken_is_cut_off_with_a_line_in_the_log(impatient, recording):
    path = recording(impatient)
    connection = impatient.connect(receive_buffer=4096)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    end = time.monotonic() + PATIENCE
    while b"was cut off" not in impatient.log.read_bytes():
        assert time.monotonic() < end, impatient.log.read_text()
        time.sleep(0.05)
    assert len(answer_of(connection)) < 20_000_000
    assert "Traceback" not in impatient.log.read_text()
    status, whole = impatient.ask("GET", path)
    assert (status, len(whole)) == (200, 20_000_000), "a client that takes it gets all of it"


@pytest.mark.parametrize("results", ["disk", "file://{folder}/objects"])
def test_a_connection_is_kept_between_requests_for_longer_than_a_body_may_be_silent(door_of, results):
    found = door_of(results=results, silence=0.3, patience=0.3, keepalive=30)
    connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=PATIENCE)
    for _ in range(2):
        connection.request("POST", "/v1/tts", json.dumps({"text": "a"}), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 202
        time.sleep(1)
