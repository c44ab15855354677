"""The proxy's example in front of the real web process: TLS, streams, large uploads, hang-ups, Flower under a path."""

import contextlib
import hashlib
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import httpx
import pytest

from tests.conftest import PATIENCE, free_port

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "deploy" / "nginx"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
KEY = "vq-a-key-for-tests"
UPLOAD = 24 * 1024 * 1024
LIMIT = UPLOAD + 1024 * 1024
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        NGINX is None or shutil.which("openssl") is None,
        reason="no nginx or no openssl: THE PROXY'S EXAMPLE IS NOT TESTED; apt install nginx-light openssl",
    ),
]


@contextlib.contextmanager
def process(command, port, **options):
    running = subprocess.Popen(command, cwd=ROOT, **options)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert running.poll() is None, f"{command[0]} ended with {running.returncode}"
            assert time.monotonic() < end, f"{command[0]} does not listen on {port}"
            time.sleep(0.05)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def ports():
    return {name: free_port() for name in ("web", "flower", "plain", "tls")}


@pytest.fixture(scope="module")
def configuration(tmp_path_factory, certificate, ports):
    """The example with other ports and another certificate; all else is as it is shipped."""
    folder = tmp_path_factory.mktemp("nginx")
    text = (EXAMPLE / "voxqueue.conf").read_text("utf-8")
    for old, new in {
        "127.0.0.1:8000": f"127.0.0.1:{ports['web']}",
        "127.0.0.1:5555": f"127.0.0.1:{ports['flower']}",
        "listen 80": f"listen 127.0.0.1:{ports['plain']}",
        "listen 443": f"listen 127.0.0.1:{ports['tls']}",
        "/etc/ssl/voxqueue/": f"{certificate}/",
        "voxqueue.example.org": "localhost",
    }.items():
        assert old in text, old
        text = text.replace(old, new)
    own = "\n".join(line for line in text.splitlines() if "listen [::]" not in line)
    shutil.copy(EXAMPLE / "voxqueue-locations.inc", folder)
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy"))
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}\n{own}\n}}\n",
        "utf-8",
    )
    return folder / "nginx.conf"


def test_nginx_understands_the_example(configuration):
    command = [NGINX, "-t", "-q", "-p", str(configuration.parent), "-c", str(configuration)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "deprecated" not in line]  # of a newer nginx
    assert (done.returncode, complaints) == (0, [])


@pytest.fixture(scope="module")
def environment(valkey, ports, tmp_path_factory):
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VOXQUEUE_REDIS_URL": valkey.url,
        "VOXQUEUE_HOST": "127.0.0.1",
        "VOXQUEUE_PORT": str(ports["web"]),
        "VOXQUEUE_API_KEYS": f"somebody:{hashlib.sha256(KEY.encode()).hexdigest()}:user",
        "VOXQUEUE_DATA_DIR": str(tmp_path_factory.mktemp("data")),
        "VOXQUEUE_MAX_UPLOAD_BYTES": str(LIMIT),
        "VOXQUEUE_FLOWER_PORT": str(ports["flower"]),
        "VOXQUEUE_FLOWER_BASIC_AUTH": "tester:of-voxqueue",
        "FLOWER_URL_PREFIX": "/flower",
    }


@pytest.fixture(scope="module")
def site(configuration, environment, ports):
    """The address of a web process behind nginx."""
    gunicorn = [sys.executable, "-m", "gunicorn", "--config", "app/gunicorn_conf.py", "app:create_app()"]
    nginx = [NGINX, "-p", str(configuration.parent), "-c", str(configuration), "-g", "daemon off;"]
    with process(gunicorn, ports["web"], env=environment), process(nginx, ports["tls"]):
        yield f"https://localhost:{ports['tls']}"


@pytest.fixture
def client(site, redis):
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=site, headers=headers, verify=False, timeout=PATIENCE) as opened:
        yield opened


def silence(size):
    """Return a WAV file of about `size` bytes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(size))
    return file.getvalue()


def test_plain_http_is_sent_to_tls(site, ports):
    answer = httpx.get(f"http://localhost:{ports['plain']}/docs")
    assert answer.status_code == 301
    assert answer.headers["location"] == "https://localhost/docs"


def test_the_web_process_knows_that_it_is_behind_tls(client):
    answer = client.post("/v1/session", json={"key": KEY})
    assert answer.status_code < 300, answer.text
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


def test_an_event_stream_comes_through_as_it_happens(client):
    job = client.post("/v1/tts", json={"text": "你好。"}).json()
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as stream:
        lines = stream.iter_lines()
        assert any('"queued"' in line for line in lines if line.startswith("data:")), "held back until the end"
        client.post(f"/v1/jobs/{job['id']}/cancel")
        assert any('"canceled"' in line for line in lines if line.startswith("data:"))


def test_a_long_poll_is_waited_for(client):
    job = client.post("/v1/tts", json={"text": "你好。"}).json()
    later = threading.Timer(1.0, client.post, (f"/v1/jobs/{job['id']}/cancel",))
    later.start()
    answer = client.get(f"/v1/jobs/{job['id']}", params={"wait": 30})
    later.join()
    assert answer.json()["status"] == "canceled"


def test_a_large_upload_comes_through(client):
    answer = client.post("/v1/stt", files={"file": ("long.wav", silence(UPLOAD), "audio/wav")})
    assert answer.status_code == 202, answer.text


def test_an_upload_over_the_limit_is_refused_by_the_program_not_by_the_proxy(client):
    answer = client.post("/v1/stt", files={"file": ("long.wav", silence(LIMIT + 1), "audio/wav")})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too_large"


def test_a_client_that_hangs_up_is_seen_to_do_so(client):
    """There is no worker, so the request would wait for ever."""
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/audio/speech", json={"model": "tts-1", "voice": "alloy", "input": "你好。"}, timeout=2)
    end = time.monotonic() + PATIENCE
    while (jobs := client.get("/v1/jobs").json()["data"])[0]["status"] != "canceled":
        assert time.monotonic() < end, jobs
        time.sleep(0.1)


def test_figures_are_not_for_the_world(client):
    assert client.get("/metrics").status_code == 404


def test_flower_stands_under_a_path_behind_its_password(client, environment, ports):
    flower = [sys.executable, "-m", "app.stack.flower"]
    with process(flower, ports["flower"], env=environment):
        assert client.get("/flower").headers["location"].endswith("/flower/")
        assert client.get("/flower/").status_code == 401
        page = client.get("/flower/workers", auth=("tester", "of-voxqueue"))
        assert page.status_code == 200
        assert 'href="/flower/static/' in page.text
        style = page.text.partition('href="/flower/static/')[2].partition('"')[0]
        assert client.get(f"/flower/static/{style}", auth=("tester", "of-voxqueue")).status_code == 200
