"""Models from the hub: a real HTTP server that answers as the hub does, and the command that users run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from speech.stt import Recognizer
from speech.stt.hub import DEMO, pulled

from .conftest import ROOT, SAMPLES

pytestmark = pytest.mark.slow

REPOSITORY = "someone/whisper-demo"
SHA = "0123456789abcdef0123456789abcdef01234567"
BREAK, KEPT = 15_000_000, 10 * 2**20
"""Where the connection breaks, and what the hub's client has written down by then (it writes 10 MiB at a time)."""


class Hub(ThreadingHTTPServer):
    """The hub with one model. ``breaks`` times a download of ``model.bin`` breaks off; then, if it ``ails``,
    the hub answers 500 for it. ``asked`` are the ranges asked for of each file.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
        self.files["model.bin"] += bytes(20_000_000)  # which nobody reads
        self.files["pytorch_model.bin"] = b"not wanted here"
        self.digest = hashlib.sha256(self.files["model.bin"]).hexdigest()
        self.breaks, self.ails = 0, False
        self.asked: dict[str, list[str | None]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(f"/api/models/{REPOSITORY}"):
            self.describe()
        elif path.startswith(f"/{REPOSITORY}/resolve/{SHA}/"):
            self.give(path.rpartition("/")[2])
        else:
            self.answer(404, b"{}")

    def describe(self) -> None:
        files = [{"rfilename": name, "size": len(data)} for name, data in self.server.files.items()]
        lfs = {"sha256": self.server.digest, "size": len(self.server.files["model.bin"]), "pointerSize": 130}
        for file in files:
            if file["rfilename"] == "model.bin":
                file["lfs"] = lfs  # type: ignore[assignment]
        self.answer(200, json.dumps({"id": REPOSITORY, "sha": SHA, "siblings": files}).encode())

    def give(self, name: str) -> None:
        wanted = self.headers["Range"]
        asked = self.server.asked.setdefault(name, [])
        asked.append(wanted)
        data = self.server.files[name]
        begin = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if name == "model.bin" and self.server.ails and len(asked) > self.server.breaks:
            self.answer(500, b"{}")
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if name == "model.bin" and len(asked) <= self.server.breaks:
            self.wfile.write(data[begin:BREAK])
            self.close_connection = True
        else:
            self.wfile.write(data[begin:])

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def voxqueue(hub_url: str, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "VOXQUEUE_"))}
    environment |= {"HF_ENDPOINT": hub_url, "VOXQUEUE_MODEL_CACHE": str(cache), "HF_HOME": str(cache / "hf")}
    command = [sys.executable, "-c", "from app.cli import main; main()", *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_model_is_pulled_and_hears_though_the_connection_breaks_once(hub: Hub, tmp_path: Path) -> None:
    hub.breaks = 1
    done = voxqueue(hub.url, tmp_path, "models", "pull", REPOSITORY)
    assert done.returncode == 0, done.stderr

    folder = Path(done.stdout.strip())
    assert pulled(tmp_path) == [REPOSITORY]
    assert {path.name for path in folder.iterdir()} == {path.name for path in DEMO.iterdir()}, "and nothing else"
    assert hub.asked["model.bin"] == [None, f"bytes={KEPT}-"]
    [heard] = Recognizer.load(REPOSITORY, cache=tmp_path, download=False).transcribe(
        [SAMPLES / "demo_M7_neutral.wav"], language="zh"
    )
    assert heard.text == "客厅里有十二把椅子和一张桌子。请打开书，看第十三页。"


def test_a_pull_that_failed_says_so_and_the_next_one_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.breaks, hub.ails = 1, True
    failed = voxqueue(hub.url, tmp_path, "models", "pull", REPOSITORY)
    assert failed.returncode == 1
    last = failed.stderr.splitlines()[-1]
    assert f"voxqueue models pull {REPOSITORY}` goes on where this stopped" in last
    assert "copy the folder" in last
    assert "Traceback" not in failed.stderr
    assert pulled(tmp_path) == [], "half a model is none"

    hub.ails, hub.asked = False, {}
    hub.breaks = 0
    done = voxqueue(hub.url, tmp_path, "models", "pull", REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert hub.asked["model.bin"] == [f"bytes={KEPT}-"]
    for path in Path(done.stdout.strip()).iterdir():
        assert path.read_bytes() == hub.files[path.name]
    assert pulled(tmp_path) == [REPOSITORY]


def test_what_arrives_damaged_or_is_no_model_of_ours_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.digest = "0" * 64
    damaged = voxqueue(hub.url, tmp_path, "models", "pull", REPOSITORY)
    assert damaged.returncode == 1
    assert "model.bin" in damaged.stderr.splitlines()[-1]
    assert "damaged" in damaged.stderr.splitlines()[-1]

    del hub.files["vocabulary.json"]
    hub.asked = {}
    foreign = voxqueue(hub.url, tmp_path, "models", "pull", REPOSITORY)
    assert foreign.returncode == 1
    assert "vocabulary.json or vocabulary.txt missing" in foreign.stderr.splitlines()[-1]
    assert "ct2-transformers-converter" in foreign.stderr.splitlines()[-1]
    assert hub.asked == {}, "said before anything is fetched"
    assert pulled(tmp_path) == []


def test_a_name_that_the_hub_does_not_have_and_a_hub_that_is_not_there_say_what_to_do(hub: Hub, tmp_path: Path) -> None:
    for url, name in ((hub.url, "someone/else"), ("http://127.0.0.1:9", REPOSITORY)):
        failed = voxqueue(url, tmp_path, "models", "pull", name)
        assert failed.returncode == 1
        last = failed.stderr.splitlines()[-1]
        assert name in last
        assert "copy the folder of a CTranslate2 model there" in last
        assert "Traceback" not in failed.stderr
