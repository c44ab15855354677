"""Voices by folder, by model root and by hub name; the hub is a small server here, the client the real one."""

import hashlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from speech.errors import ModelError
from speech.tts import Voice
from speech.tts.hub import hub_folder, is_hub_name, list_voices, pull, resolve_voice

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "sambert-hifigan"
NAME = "iic/speech_sambert-hifigan_tts_zh-cn_16k"


@pytest.fixture
def model_root(tmp_path):
    """A folder in the layout of a published model with two voices, one of which is listed but missing."""
    root = tmp_path / "model"
    for voice in ("first", "second"):
        shutil.copytree(FIXTURES / "sambert_plain_16k" / "am", root / "voices" / voice / "am")
        shutil.copytree(FIXTURES / "hifigan_v1_16k" / "voc", root / "voices" / voice / "voc")
    (root / "voices" / "voices.json").write_text(json.dumps({"voices": ["gone", "second", "first"]}))
    (root / "configuration.json").write_text(json.dumps({"model": {"type": "sambert-hifigan", "sample_rate": 16000}}))
    (root / "resource.zip").write_bytes(b"x" * 1000)
    return root


def test_the_demo_by_name_by_root_and_by_folder():
    found = [resolve_voice(one).path.resolve() for one in ("demo", ROOT / "models/demo/tts")]
    found.append(resolve_voice(ROOT / "models/demo/tts/voices/demo").path.resolve())
    assert len(set(found)) == 1
    assert resolve_voice("demo").emotions == ("neutral", "happy")
    assert resolve_voice("demo").sample_rate == 16000


def test_the_first_voice_that_exists_is_the_default_and_a_name_picks_another(model_root):
    assert list_voices(model_root) == ["second", "first"]
    assert resolve_voice(model_root).name == "second"
    assert Voice.load(model_root, name="first").name == "first"
    with pytest.raises(ModelError, match="has no voice 'gone'; it has second, first"):
        resolve_voice(model_root, "gone")


@pytest.mark.parametrize("content", ['{"voices": "one"}', "{", '{"voices": ["../../secret"]}', '{"voices": [""]}'])
def test_a_list_that_cannot_be_used_is_named(model_root, content):
    (model_root / "voices" / "voices.json").write_text(content)
    with pytest.raises(ModelError, match=r"voices\.json"):
        resolve_voice(model_root)


def test_a_folder_without_voices_and_a_wrong_name_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"voices\.json is missing"):
        resolve_voice(tmp_path)
    with pytest.raises(ModelError, match="is no voice: give a folder"):
        resolve_voice("/no/such/folder")


def test_what_is_a_hub_name():
    assert is_hub_name(NAME)
    assert is_hub_name("damo/speech_sambert-hifigan_tts_zhitian_emo_zh-cn_16k")
    assert not any(is_hub_name(name) for name in ("demo", "/a/b", "a/b/c", "../b", "a/", "./voice/x"))


class Hub(ThreadingHTTPServer):
    """Answers what the client asks for one model."""

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Answer)
        self.root = root
        self.asked = []

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        self.server.asked.append(self.path)
        if parts.path.endswith("/repo/files"):
            files = [
                {
                    "Name": file.name,
                    "Path": str(file.relative_to(self.server.root)),
                    "Size": file.stat().st_size,
                    "Sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "Type": "blob",
                    "Revision": "master",
                }
                for file in sorted(self.server.root.rglob("*"))
                if file.is_file()
            ]
            return self.send(json.dumps({"Code": 200, "Success": True, "Data": {"Files": files}}).encode())
        if "FilePath" in query:
            return self.send((self.server.root / query["FilePath"][0]).read_bytes())
        revisions = {"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}}
        return self.send(json.dumps({"Code": 200, "Success": True, "Data": revisions}).encode())

    def send(self, content):
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub(model_root, tmp_path, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    server = Hub(model_root)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_hub_model_is_fetched_once_without_what_is_not_needed(hub):
    folder = pull(NAME, endpoint=hub.endpoint)
    assert folder == hub_folder(NAME)
    assert list_voices(folder) == ["second", "first"]
    assert not (folder / "resource.zip").exists()
    assert Voice.load(NAME, name="first").sample_rate == 16000
    asked = len(hub.asked)
    assert pull(NAME, endpoint=hub.endpoint) == folder
    assert len(hub.asked) == asked


@pytest.mark.slow
def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path))
    # Nothing listens on port 9 of this machine; the client tries some times before it gives up.
    with pytest.raises(ModelError, match=r"could not be fetched.*copy that folder here, or give a voice folder"):
        pull(NAME, endpoint="http://127.0.0.1:9")
    assert not (hub_folder(NAME) / ".voxqueue-complete").exists()
