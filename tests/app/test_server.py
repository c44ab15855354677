"""The application under the real gunicorn: streams, uploads over the limit, slow clients."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading

import pytest

from jobs.ledger import Claim, Ledger
from jobs.record import Output
from tests.app.conftest import LIMIT, ROOT
from tests.conftest import PATIENCE, free_port


@pytest.fixture
def ask(server, redis):
    """Make a request over a connection of its own; `redis` empties the ledger first."""

    def send(method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
        data = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, data, {"Content-Type": "application/json", **(headers or {})})
        return connection.getresponse()

    return send


@pytest.fixture
def job(ask):
    return json.loads(ask("POST", "/v1/tts", {"text": "你好。"}).read())


class Events:
    """An open event stream."""

    def __init__(self, ask, job_id, last=None):
        self.answer = ask("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last} if last else {})
        assert self.answer.status == 200
        assert self.answer.headers["Content-Type"].startswith("text/event-stream")

    def next(self):
        """Return the next event's ID and job, None at the end of the stream."""
        fields = {}
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name in {"id", "event", "data"}:
                fields[name] = value
            if not line.strip() and "data" in fields:
                assert fields["event"] == "job"
                return fields["id"], json.loads(fields["data"])
        return None


@pytest.fixture
def work(redis):
    """Claim a job as a worker does."""
    ledger = Ledger(redis)

    def claim(job_id):
        found = ledger.claim(job_id, int(redis.hget(f"vq:job:{job_id}", "token")), "hand")
        assert isinstance(found, Claim)
        return ledger, found

    return claim


def test_a_stream_tells_every_state_and_ends(ask, job, work):
    events = Events(ask, job["id"])
    assert events.next()[1]["status"] == "queued"
    ledger, claim = work(job["id"])
    assert events.next()[1]["status"] == "running"
    ledger.progress(claim, 1, 2, "sentences")
    assert events.next()[1]["progress"] == {"done": 1, "total": 2, "unit": "sentences"}
    ledger.succeed(claim, Output(text="done"))
    assert events.next()[1]["status"] == "succeeded"
    assert events.next() is None


def test_a_stream_goes_on_after_the_last_event(ask, job, work):
    version, _ = Events(ask, job["id"]).next()
    ledger, claim = work(job["id"])
    ledger.succeed(claim, Output())
    resumed = Events(ask, job["id"], version)
    later, ended = resumed.next()
    assert (ended["status"], int(later) > int(version)) == ("succeeded", True)
    assert resumed.next() is None
    again = ask("GET", f"/v1/jobs/{job['id']}/events", headers={"Last-Event-ID": later})
    assert again.status == 204, "an EventSource stops coming back"


def test_a_deleted_jobs_stream_ends(ask, job):
    events = Events(ask, job["id"])
    events.next()
    assert ask("DELETE", f"/v1/jobs/{job['id']}").status == 204
    assert events.next() is None


def test_a_hundred_open_streams_hold_up_nobody_and_hear_the_end(ask, job, work):
    streams = [Events(ask, job["id"]) for _ in range(100)]
    for stream in streams:
        assert stream.next()[1]["status"] == "queued"
    assert ask("POST", "/v1/tts", {"text": "再见。"}).status == 202
    ledger, claim = work(job["id"])
    ledger.succeed(claim, Output())
    for stream in streams:
        while event := stream.next():
            last = event[1]["status"]
        assert last == "succeeded"


def test_a_long_poll_holds_up_nobody(ask, job, work):
    answers = []
    waiters = [
        threading.Thread(
            target=lambda: answers.append(json.loads(ask("GET", f"/v1/jobs/{job['id']}?wait=60").read())["status"])
        )
        for _ in range(50)
    ]
    for waiter in waiters:
        waiter.start()
    ledger, claim = work(job["id"])
    ledger.succeed(claim, Output())
    for waiter in waiters:
        waiter.join(PATIENCE)
    assert answers == ["succeeded"] * 50


def test_a_body_over_the_limit_is_read_before_the_413(server):
    """A client that sends all of it before it listens, as most do, must find the answer and no broken connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    body = b"x" * (LIMIT * 10)
    connection.request("POST", "/v1/stt", body, {"Content-Type": "multipart/form-data; boundary=x"})
    answer = connection.getresponse()
    problem = json.loads(answer.read())
    assert (answer.status, problem["errors"][0]["limit"]) == (413, LIMIT)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200, "the connection can be used again"


def test_a_chunked_body_over_the_limit_is_413(server):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\0\0\0\0WAVE'
    pieces = [head, *[b"\0" * 50_000] * 20]
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/v1/stt", iter(pieces), headers, encode_chunked=True)
    assert connection.getresponse().status == 413


def test_a_refused_path_reads_the_body_too(server):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    connection.request("POST", "/nope", b"x" * LIMIT * 2, {"Content-Type": "audio/wav"})
    assert connection.getresponse().status == 404


def test_a_client_that_goes_away_leaves_nothing_and_the_server_well(server, ask):
    with socket.create_connection(("127.0.0.1", server), PATIENCE) as half:
        half.sendall(
            b"POST /v1/stt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'
        )
    assert ask("GET", "/healthz").status == 200
    assert json.loads(ask("GET", "/v1/jobs").read())["data"] == []


def test_slow_clients_hold_up_nobody(server, ask):
    slow = [socket.create_connection(("127.0.0.1", server), PATIENCE) for _ in range(60)]
    for connection in slow:
        connection.sendall(b"POST /v1/tts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{")
    try:
        assert ask("POST", "/v1/tts", {"text": "你好。"}).status == 202
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize("keys", ["", "nonsense"])
def test_it_refuses_to_start_open_to_others_without_keys(valkey, keys):
    environment = {
        **os.environ,
        "VOXQUEUE_REDIS_URL": valkey.url,
        "VOXQUEUE_PORT": str(free_port()),
        "VOXQUEUE_HOST": "0.0.0.0",
        "VOXQUEUE_API_KEYS": keys,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "app/gunicorn_conf.py", "app:create_app()"]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode != 0
    assert "VOXQUEUE_API_KEYS" in ended.stdout + ended.stderr
