"""The application on a real, empty Valkey and a real folder; a hand that does what a worker does to a job."""

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import settings as hypothesis_settings

from app import create_app
from app.cli import main
from jobs.ledger import Claim, Ledger
from jobs.record import Blob, Output, Problem
from jobs.registry import Registry
from jobs.remote_files import store_of
from jobs.settings import Settings
from tests.app.proxy import Proxy
from tests.conftest import PATIENCE, free_port

# A deadline of milliseconds measures the machine's other work.
hypothesis_settings.register_profile("patient", deadline=None)
hypothesis_settings.load_profile("patient")

ROOT = Path(__file__).parents[2]
LIMIT = 200_000
"""Of an upload to the server of the tests, in bytes."""

TRANSCRIPT = {
    "task": "transcribe",
    "language": "zh",
    "duration": 2.0,
    "text": "你好。世界。",
    "segments": [
        {
            "id": 0, "seek": 0, "start": 0.0, "end": 2.0, "text": "你好。世界。", "tokens": [1], "temperature": 0.0,
            "avg_logprob": -0.1, "compression_ratio": 1.0, "no_speech_prob": 0.01,
        }
    ],
    "words": [{"word": "你好", "start": 0.0, "end": 1.0}, {"word": "世界", "start": 1.0, "end": 2.0}],
}  # fmt: skip
HEARD = {
    "json": json.dumps(TRANSCRIPT),
    "txt": "你好。世界。\n",
    "srt": "1\n00:00:00,000 --> 00:00:02,000\n你好。世界。\n",
    "vtt": "WEBVTT\n\n00:00.000 --> 00:02.000\n你好。世界。\n",
}
"""What the worker of the tests makes of every recording."""


@pytest.fixture
def settings_of(redis_url, tmp_path):
    """Make settings of the test's server and folder."""

    def build(**changes):
        return Settings(**{"redis_url": redis_url, "data_dir": tmp_path / "data", "api_keys": "", **changes})

    return build


@pytest.fixture
def app_of(settings_of):
    """Make an application with some settings changed."""
    return lambda **changes: create_app(settings_of(**changes))


@pytest.fixture
def app(app_of):
    return app_of()


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def services(app):
    return app.extensions["voxqueue"]


@pytest.fixture
def registry(redis):
    return Registry(redis)


class Hand:
    """Claims jobs and ends them, as a worker would."""

    def __init__(self, redis, store):
        self.ledger = Ledger(redis)
        self.store = store
        self.redis = redis

    def claim(self, job_id) -> Claim:
        sequence = int(self.redis.hget(f"vq:job:{job_id}", "token"))
        found = self.ledger.claim(job_id, sequence, "hand")
        assert isinstance(found, Claim), found
        return found

    def succeed(self, job_id, files=(), **output) -> list[Blob]:
        """End a job with files `(name, media type, bytes)`."""
        claim = self.claim(job_id)
        blobs = [self.store.put(job_id, data, name=name, media_type=media) for name, media, data in files]
        self.ledger.succeed(claim, Output(files=tuple(blobs), **output))
        return blobs

    def fail(self, job_id):
        self.ledger.fail(self.claim(job_id), Problem("no_audio_stream", "No audio", "the file has no sound"))


@pytest.fixture
def hand(services):
    return Hand(services.redis, services.store)


@pytest.fixture(scope="session")
def wav():
    """A second of sound, as a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(range(256)) * 125)
    return file.getvalue()


@pytest.fixture
def submit(client):
    """Submit a text and give the job's ID."""

    def send(text="你好。", **options):
        answer = client.post("/v1/tts", json={"text": text, **options})
        assert answer.status_code == 202, answer.text
        return answer.json["id"]

    return send


@pytest.fixture(scope="session")
def server_data(tmp_path_factory):
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="session")
def server(valkey, server_data):
    """The port of a gunicorn as `make run` starts it, with a small upload limit."""
    port = free_port()
    environment = {
        **os.environ,
        "VOXQUEUE_REDIS_URL": valkey.url,
        "VOXQUEUE_PORT": str(port),
        "VOXQUEUE_HOST": "127.0.0.1",
        "VOXQUEUE_API_KEYS": "",
        "VOXQUEUE_DATA_DIR": str(server_data),
        "VOXQUEUE_MAX_UPLOAD_BYTES": str(LIMIT),
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "app/gunicorn_conf.py", "app:create_app()"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    end = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.02)
    yield port
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


@pytest.fixture
def server_hand(server, server_data, redis):
    """A hand for the jobs of the server."""
    return Hand(redis, store_of(Settings(data_dir=server_data, redis_url="redis://unused")))


@pytest.fixture
def worker(server_hand, redis):
    """A thread that takes messages from the broker and ends their jobs at once.

    A text comes back as a "sound" of its own bytes, a recording as "你好。世界。"; the text or the prompt
    "fail" fails, the text "wait" keeps running.
    """
    hand = server_hand
    lists = [f"{queue}:{step}" for queue in ("tts", "stt", "cpu") for step in (1, 4, 7)]
    over = threading.Event()

    def work():
        while not over.is_set():
            found = redis.brpop(lists, timeout=0.2)
            if found is None:
                continue
            job_id = json.loads(found[1])["headers"]["id"].partition(".")[0]
            spec = json.loads(redis.hget(f"vq:job:{job_id}", "spec"))
            text = spec.get("text", "")
            if "fail" in {text, spec.get("prompt")}:
                hand.fail(job_id)
            elif text == "wait":
                hand.claim(job_id)
            elif "text" in spec:
                sound = (f"speech.{spec['format']}", "audio/wav", b"RIFF" + text.encode())
                hand.succeed(job_id, [sound, ("speech.srt", "text/plain", b"1")], duration_seconds=1.0)
            else:
                files = [(f"a.{kind}", "text/plain", HEARD[kind].encode()) for kind in spec["formats"]]
                hand.succeed(job_id, files, text="你好。世界。", language="zh", duration_seconds=2.0)

    thread = threading.Thread(target=work)
    thread.start()
    yield hand
    over.set()
    thread.join(PATIENCE)


@pytest.fixture
def proxy(server):
    made = Proxy(server)
    yield made
    made.close()


@pytest.fixture
def environment(proxy, redis, tmp_path, monkeypatch):
    """An empty folder, and the server behind the proxy."""
    monkeypatch.chdir(tmp_path)
    found = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "VOXQUEUE_URL": f"http://127.0.0.1:{proxy.port}"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VOXQUEUE_API_KEY", raising=False)
    return {**os.environ, **found}


@pytest.fixture
def run(environment):
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


@pytest.fixture
def heap(wav, tmp_path):
    """A folder of recordings that differ; `a.wav` and `b/copy.wav` are the same."""
    for number, name in enumerate(("a.wav", "b/c.wav", "b/d/e.wav", "b/d/e.mp3")):
        path = tmp_path / "heap" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav + bytes(2 * number))
    (tmp_path / "heap" / "b" / "copy.wav").write_bytes(wav)
    (tmp_path / "heap" / ".hidden.wav").write_bytes(wav)
    return tmp_path / "heap"
