"""Voices by folder, by model root and by hub name; the hub is a small server here, the client the real one."""

import hashlib
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from speech.errors import ModelError
from speech.tts import Voice
from speech.tts.hub import hub_folder, is_hub_name, list_voices, pull, resolve_voice, voice_names

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "sambert-hifigan"
NAME = "iic/speech_sambert-hifigan_tts_zh-cn_16k"
LARGE = "voices/first/dict/words.txt"
MEGABYTE = 1 << 20
BREAK_AT = 2 * MEGABYTE
LINE = (
    "{n_c$tone3$s_begin$word_begin$emotion_neutral$F7} {i_c$tone3$s_end$word_end$emotion_neutral$F7} "
    "{#4$tone_none$s_none$word_none$emotion_none$F7}"
)


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


def test_a_configuration_may_name_the_files_of_its_one_voice(model_root):
    first = model_root / "voices" / "first"
    named = {
        "voice_name": "mine",
        "am_config": "voices/first/am/config.yaml",
        "am_ckpt": str(first / "am" / "ckpt"),
        "voc_config": "voices/first/voc/config.yaml",
        "voc_ckpt": "voices/first/voc/ckpt/checkpoint_0.pth",
    }
    (first / "voc" / "ckpt" / "checkpoint_5.pth").write_bytes(b"another one")
    settings = {"model": {"sample_rate": 16000, "custom_ckpt": named}}
    (model_root / "configuration.json").write_text(json.dumps(settings))
    assert voice_names(model_root) == ["mine"]
    voice = Voice.load(model_root)
    assert voice.name == "mine"
    usual = Voice.load(model_root / "voices" / "second")
    assert (voice.synthesize_symbols([LINE])[0] == usual.synthesize_symbols([LINE])[0]).all()
    with pytest.raises(ModelError, match="has no voice 'first'; it has mine"):
        Voice.load(model_root, name="first")


@pytest.mark.parametrize("missing", ["voice_name", "am_ckpt", "voc_config"])
def test_a_setting_that_such_a_configuration_lacks_is_named(model_root, missing):
    named = dict.fromkeys(["voice_name", "am_ckpt", "voc_ckpt", "am_config", "voc_config"], "x")
    del named[missing]
    (model_root / "configuration.json").write_text(json.dumps({"model": {"custom_ckpt": named}}))
    with pytest.raises(ModelError, match=rf"configuration\.json: key model\.custom_ckpt\.{missing} is missing"):
        resolve_voice(model_root)


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
    """Answers what the client asks for one model, in the hub's own form, ranges included.

    ``breaks`` counts how often the connection is cut after ``BREAK_AT`` bytes of the large file; with ``holds`` it then
    stays open and silent until the client goes away.
    """

    daemon_threads = True

    def __init__(self, root):
        super().__init__(("127.0.0.1", 0), Answer)
        self.root = root
        self.breaks = 0
        self.holds = threading.Event()
        self.sent_half = threading.Event()
        self.asked = []
        """Each request: its path, the file that it asks for, and the range."""

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_port}"

    def ranges_of(self, file):
        return [wanted for _, path, wanted in self.asked if path == file]


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        path = parse_qs(parts.query).get("FilePath", [None])[0]
        self.server.asked.append((parts.path, path, self.headers["Range"]))
        if parts.path.endswith("/repo/files"):
            return self.send(self.listing())
        if path is not None:
            return self.send_file(path, (self.server.root / path).read_bytes())
        return self.send({"RevisionMap": {"Branches": [{"Revision": "master"}], "Tags": []}})

    def listing(self):
        files = [file for file in sorted(self.server.root.rglob("*")) if file.is_file()]
        return {
            "Files": [
                {
                    "Name": file.name,
                    "Path": str(file.relative_to(self.server.root)),
                    "Size": file.stat().st_size,
                    "Sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "Type": "blob",
                    "Revision": "master",
                }
                for file in files
            ]
        }

    def send(self, data):
        content = json.dumps({"Code": 200, "Success": True, "Data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_file(self, path, content):
        first = int(self.headers["Range"].removeprefix("bytes=").partition("-")[0]) if self.headers["Range"] else 0
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        if path == LARGE and self.server.breaks:
            self.server.breaks -= 1
            self.wfile.write(content[first:BREAK_AT])
            self.wfile.flush()
            self.server.sent_half.set()
            if self.server.holds.is_set():
                self.rfile.read()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content[first:])


@pytest.fixture
def hub(model_root, tmp_path, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    words = model_root / LARGE
    words.parent.mkdir()
    words.write_bytes(random.Random(1).randbytes(3 * MEGABYTE))
    server = Hub(model_root)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", server.endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def files_below(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_hub_model_is_fetched_once_without_what_is_not_needed(hub):
    folder = pull(NAME)
    assert folder == hub_folder(NAME)
    wanted = {name: content for name, content in files_below(hub.root).items() if name != "resource.zip"}
    fetched = files_below(folder)
    assert {name: fetched.get(name) for name in wanted} == wanted
    assert "resource.zip" not in fetched
    assert Voice.load(NAME, name="first").sample_rate == 16000
    asked = len(hub.asked)
    assert pull(NAME) == folder
    assert len(hub.asked) == asked


@pytest.mark.slow
def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub):
    hub.breaks = 1
    folder = pull(NAME)
    assert hub.ranges_of(LARGE)[0] is None
    assert hub.ranges_of(LARGE)[1] == f"bytes={BREAK_AT}-"
    assert (folder / LARGE).read_bytes() == (hub.root / LARGE).read_bytes()


@pytest.mark.slow
def test_a_pull_that_was_killed_is_taken_up_by_the_next_one_which_shows_how_far_it_is(hub):
    command = [sys.executable, "-m", "speech.tts", "voices", "pull", NAME]
    hub.breaks = 1
    hub.holds.set()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        assert hub.sent_half.wait(60)
        part = hub_folder(NAME) / f"{LARGE}.incomplete"
        while not part.exists() or part.stat().st_size < MEGABYTE:
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
    hub.holds.clear()
    have = part.stat().st_size
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert hub.ranges_of(LARGE) == [None, f"bytes={have}-"]
    assert "100%" in second.stderr
    assert json.loads(second.stdout)["voices"] == ["second", "first"]
    assert (hub_folder(NAME) / LARGE).read_bytes() == (hub.root / LARGE).read_bytes()


@pytest.mark.slow
def test_without_a_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_CACHE_DIR", str(tmp_path))
    # Nothing listens on port 9 of this machine; the client tries some times before it gives up.
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"could not be fetched.*copy that folder here, or give a voice folder"):
        pull(NAME)
    assert not (hub_folder(NAME) / ".voxqueue-complete").exists()
