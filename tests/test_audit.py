"""`make check` looks for known holes: it fails for one, and says loudly where it could not look, without hanging."""

import http.server
import importlib.util
import json
import threading
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, free_port

ROOT = Path(__file__).parents[1]
LOUD = "*** THE DEPENDENCIES WERE NOT AUDITED"


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def audit():
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reachable(audit, monkeypatch):
    """Something answers where the list of holes should be."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(audit, "PROBE", f"http://127.0.0.1:{server.server_port}/")
    yield
    server.shutdown()
    server.server_close()


def says(folder, monkeypatch, text):
    """Let pip-audit write a text."""
    (folder / "pip_audit.py").write_text(f"print({text!r})")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def report(**holes):
    """Return pip-audit's report of some packages; None: it does not know one."""
    found = [{"name": "voxqueue", "skip_reason": "not on any index"}]
    for name, ids in holes.items():
        if ids is None:
            found.append({"name": name, "skip_reason": "not on any index"})
        else:
            found.append(
                {"name": name, "version": "1.0", "vulns": [{"id": one, "fix_versions": ["1.1"]} for one in ids]}
            )
    return json.dumps({"dependencies": found})


def test_without_a_network_it_says_so_and_fails_nothing(audit, monkeypatch, capsys):
    monkeypatch.setattr(audit, "PROBE", f"http://127.0.0.1:{free_port()}/")
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith(LOUD)


def test_a_silent_name_server_holds_nobody_up(audit, monkeypatch, capsys):
    answered = threading.Event()
    monkeypatch.setattr(audit, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [answered.wait(PATIENCE)][1:])
    try:
        assert audit.main() == 0
    finally:
        answered.set()
    assert "no answer within" in capsys.readouterr().out


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(
    ("text", "status", "line"),
    [
        (report(flask=[], redis=[]), 0, "audit: 2 packages, 0 known holes"),
        (report(flask=["CVE-1"], redis=[]), 1, "flask 1.0: CVE-1, mended in ['1.1']"),
        (report(flask=[], own=None), 0, "1 packages, 0 known holes; NOT AUDITED, the list has them not: own"),
        (report(own=None), 0, LOUD),
        ("no JSON", 0, LOUD),
    ],
    ids=["none", "a hole", "an unknown package", "all unknown", "pip-audit failed"],
)
def test_what_is_found_is_told(audit, monkeypatch, tmp_path, capsys, text, status, line):
    says(tmp_path, monkeypatch, text)
    assert audit.main() == status
    assert line in capsys.readouterr().out


@pytest.mark.usefixtures("reachable")
def test_a_list_that_is_silent_holds_nobody_up(audit, monkeypatch, tmp_path, capsys):
    (tmp_path / "pip_audit.py").write_text("import time\ntime.sleep(1000)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(audit, "SECONDS", 0.2)
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith(LOUD)


def test_make_check_audits_and_fails_with_it():
    """The audit goes on beside the tests, and its exit status is that of the last command."""
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    recipe = lines[next(i for i, line in enumerate(lines) if line.startswith("check:")) + 1]
    assert ".ci/audit.py & audit=$$!" in recipe
    assert recipe.endswith("wait $$audit")
