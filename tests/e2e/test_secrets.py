"""A stack with a password, keys and a webhook secret: no log, no answer, no command line and no file shows one."""

import base64
import contextlib
import os
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from app.keys import create_key
from app.stack import Stack
from app.stack.environment import without_settings
from jobs.connect import connect
from tests.conftest import free_port
from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
PASSWORD = "hüter:des/rings@42"
FLOWER = ("watcher", "flower-passwort")
HOOK_SECRET = "whsec_" + base64.b64encode(b"webhook secret of the test, 32 b").decode()
HOOK_TOKEN, URL_TOKEN = "hook-token-77", "signed-url-88"
OPEN_PATHS = ["/", "/docs", "/openapi.json", "/healthz", "/readyz"]
ADMIN_PATHS = ["/metrics", "/v1/jobs", "/v1/workers", "/v1/voices", "/v1/models", "/v1/holds"]
FLOWER_PATHS = ["/", "/workers", "/tasks", "/broker", "/metrics", "/api/workers?refresh=1", "/api/tasks"]


@pytest.fixture
def locked_valkey(own_valkey):
    """A server with a password; give its address with it."""
    client = connect(own_valkey.url)
    client.config_set("requirepass", PASSWORD)
    client.close()
    return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{own_valkey.port}/0"


@pytest.fixture
def keys():
    return {"user": create_key("anna"), "admin": create_key("root", "admin")}


@pytest.fixture
def stack(locked_valkey, keys, tmp_path):
    settings = {
        "VOXQUEUE_DEVICE": "cpu",
        "VOXQUEUE_REDIS_URL": locked_valkey,
        "VOXQUEUE_API_KEYS": ",".join(str(key) for _, key in keys.values()),
        "VOXQUEUE_WEBHOOK_SECRET": HOOK_SECRET,
        "VOXQUEUE_FLOWER_BASIC_AUTH": ":".join(FLOWER),
        "VOXQUEUE_LOG_LEVEL": "DEBUG",
        "VOXQUEUE_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    with Stack(tmp_path / "data", env=settings, outer=without_settings(os.environ)) as running:
        running.wait_ready(180)
        yield running


def descendants(pid):
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield int(child)
        yield from descendants(int(child))


def command_lines():
    found = []
    for pid in descendants(os.getpid()):
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_text(errors="replace"))
    return "\n".join(found)


def answers(stack, job_id, secrets):
    """Return what everybody who may ask is answered."""
    per_job = [f"/v1/jobs/{job_id}{path}" for path in ("", "/webhook", "/events", "/files/none")]
    found = {}
    for role, secret in {"nobody": "wrong-" + secrets["user"], **secrets}.items():
        with httpx.Client(base_url=stack.url, timeout=60, headers={"Authorization": f"Bearer {secret}"}) as client:
            found |= {(role, path): client.get(path).text for path in [*OPEN_PATHS, *ADMIN_PATHS, *per_job]}
    with httpx.Client(base_url=stack.flower_url, timeout=60, auth=FLOWER) as client:
        workers = [f"/worker/{name}" for name in client.get("/api/workers").json()]
        found |= {("flower", path): client.get(path).text for path in [*FLOWER_PATHS, *workers]}
    return found


def disturb(locked_valkey):
    """Break all connections to Redis, so that all who lose one say so."""
    client = connect(locked_valkey)
    with contextlib.suppress(Exception):
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    client.execute_command("CLIENT", "PAUSE", 4000, "ALL")
    client.close()


def test_no_secret_is_logged_shown_or_left_in_a_file(stack, keys, locked_valkey, tmp_path):
    secrets = {role: secret for role, (secret, _) in keys.items()}
    nobody = f"http://127.0.0.1:{free_port()}"
    with httpx.Client(base_url=stack.url, timeout=90, headers={"Authorization": f"Bearer {secrets['user']}"}) as client:
        hook = {"url": f"{nobody}/hook?token={HOOK_TOKEN}"}
        job = finish(client, submit_tts(client, "上海的夏天很暖和。", webhook=hook))
        assert job["status"] == "succeeded"
        signed = f"{nobody}/a.wav?X-Signature={URL_TOKEN}"
        heard = finish(client, client.post("/v1/stt", json={"url": signed}).json()["id"])
        assert heard["error"]["type"] == "url_unreachable"
        disturb(locked_valkey)
        client.get("/v1/jobs")
        finish(client, submit_tts(client, "北京的夏天很暖和。"))
    shown = answers(stack, job["id"], secrets)
    running = command_lines()
    digests = {role: key.digest for role, (_, key) in keys.items()}
    wanted = {
        "the password of Redis": [PASSWORD, quote(PASSWORD, safe="")],
        "a key": list(secrets.values()),
        "a key's hash": list(digests.values()),
        "the webhooks' secret": [HOOK_SECRET],
        "Flower's password": [FLOWER[1]],
    }
    stack.stop()
    for what, words in wanted.items():
        for word in words:
            assert word not in running, f"{what} on a command line"
            assert {where for where, text in shown.items() if word in text} == set(), f"{what} in an answer"
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and not path.is_socket()]
    logged = b"".join(path.read_bytes() for path in files if path.suffix == ".log")
    assert b"redis://:**@127.0.0.1" in logged, "the address is logged, its password is not"
    for what, words in {**wanted, "a token": [HOOK_TOKEN, URL_TOKEN]}.items():
        for path in files:
            content = path.read_bytes()
            for word in words:
                secret_file = path.stat().st_mode & 0o077 == 0 and what == "the password of Redis"
                assert word.encode() not in content or secret_file, f"{what} in {path.relative_to(tmp_path)}"


def test_a_wrong_password_is_told_without_the_password(own_valkey, tmp_path):
    client = connect(own_valkey.url)
    client.config_set("requirepass", PASSWORD)
    client.close()
    wrong = "not-" + quote(PASSWORD, safe="")
    env = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_REDIS_URL": f"redis://:{wrong}@127.0.0.1:{own_valkey.port}/0"}
    with pytest.raises(Exception, match="VOXQUEUE_REDIS_URL") as caught:  # noqa: SIM117
        with Stack(tmp_path / "data", env=env, outer=without_settings(os.environ)) as stack:
            stack.wait_ready(60)
    assert wrong not in str(caught.value)
    logs = "".join(path.read_text(errors="replace") for path in (tmp_path / "data").rglob("*.log"))
    assert wrong not in logs
