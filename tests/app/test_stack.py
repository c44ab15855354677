"""The stack with cheap programs in its Procfile, but the real supervisor and the real Valkey."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from app.stack import Stack, StackError, valkey

pytestmark = pytest.mark.e2e

SLEEPERS = """\
web: exec sleep 1000
worker_tts: exec sleep 1000
worker_stt: exec sleep 1000
worker_cpu: exec sleep 1000
flower: exec sleep 1000
"""
NAMES = {"valkey", "web", "worker_tts", "worker_stt", "worker_cpu", "flower"}
READY_SERVER = """\
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["VOXQUEUE_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def make_stack(tmp_path, monkeypatch):
    """Make stacks that are stopped after the test."""
    for name in [name for name in os.environ if name.startswith("VOXQUEUE_")]:
        monkeypatch.delenv(name)
    with ExitStack() as exits:

        def make(text=SLEEPERS, folder="data", **options):
            path = tmp_path / "Procfile"
            path.write_text(textwrap.dedent(text))
            stack = Stack(tmp_path / folder, procfile_path=path, **options)
            exits.callback(stack.stop)
            return stack

        yield make


class Pids:
    """Waits for processes to end: an open pidfd stays with its process even if the number is used again."""

    def __init__(self, pids):
        self.fds = {os.pidfd_open(pid): pid for pid in pids}

    def wait_ended(self, seconds=30):
        poller = select.poll()
        for fd in self.fds:
            poller.register(fd, select.POLLIN)
        waiting = dict(self.fds)
        while waiting:
            events = poller.poll(seconds * 1000)
            assert events, f"still running: {waiting.values()}"
            for fd, _ in events:
                poller.unregister(fd)
                del waiting[fd]
                os.close(fd)


def script(path, text):
    path.write_text(textwrap.dedent(text))
    return f"exec {sys.executable} {path}"


def test_every_line_runs_and_the_embedded_server_keeps_an_append_only_file(make_stack):
    with make_stack() as stack:
        assert set(stack.processes()) == NAMES
        with redis.Redis.from_url(stack.redis_url, decode_responses=True) as client:
            config = client.config_get("append*") | client.config_get("bind") | client.config_get("protected-mode")
            assert config["appendonly"] == "yes"
            assert config["appendfsync"] == "everysec"
            assert config["bind"] == "127.0.0.1"
            assert config["protected-mode"] == "yes"
        assert (stack.data_dir / "valkey").is_dir()


def test_programs_find_the_chosen_addresses_in_their_environment(make_stack, tmp_path):
    out = tmp_path / "seen"
    with make_stack(
        f'web: echo "$VOXQUEUE_PORT $VOXQUEUE_REDIS_URL $VOXQUEUE_DATA_DIR $EXTRA" > {out}.part;'
        f"mv {out}.part {out}; exec sleep 1000\n",
        env={"VOXQUEUE_SLOTS": "", "EXTRA": "kept; as % it # is"},
    ) as stack:
        wait_for_file(out)
        port = stack.url.rpartition(":")[2]
        assert out.read_text().strip() == f"{port} {stack.redis_url} {stack.data_dir} kept; as % it # is"


def wait_for_file(path, seconds=30):
    """Wait for a file that is renamed into place."""
    watcher = subprocess.run(["sh", "-c", f"while [ ! -e '{path}' ]; do sleep 0.02; done"], timeout=seconds, check=True)
    assert watcher.returncode == 0


def test_what_dies_is_started_again_and_the_server_has_lost_nothing(make_stack):
    with make_stack() as stack:
        before = stack.processes()
        with redis.Redis.from_url(stack.redis_url) as client:
            client.set("key", "value")
        for name in ("valkey", "worker_tts", "web"):
            pid = stack.kill(name, signal.SIGKILL)
            assert pid == before[name]
            assert stack.wait_replaced(name, pid) != pid
        untouched = {"worker_stt", "worker_cpu", "flower"}
        after = stack.processes()
        assert {name: after[name] for name in untouched} == {name: before[name] for name in untouched}
        with redis.Redis.from_url(stack.redis_url, socket_connect_timeout=10) as client:
            assert client.get("key") == b"value"


def test_a_program_that_fails_at_first_runs_in_the_end(make_stack, tmp_path):
    count = tmp_path / "count"
    with make_stack(
        f"worker_cpu: echo x >> {count}; [ $(wc -l < {count}) -ge 3 ] || exit 1; : > {count}.enough; exec sleep 1000",
        env={"VOXQUEUE_SLOTS": "cpu"},
    ) as stack:
        wait_for_file(Path(f"{count}.enough"))
        assert "worker_cpu" in stack.processes()
        assert count.read_text() == "x\n" * 3


def test_one_process_per_slot(make_stack, tmp_path):
    text = f"worker_tts: : > {tmp_path}/slot-$VOXQUEUE_WORKER_SLOT; exec sleep 1000\n"
    with make_stack(text, env={"VOXQUEUE_SLOTS": "tts@0,tts@1"}) as stack:
        wait_for_file(tmp_path / "slot-0")
        wait_for_file(tmp_path / "slot-1")
        assert set(stack.processes()) == {"valkey", "worker_tts_0", "worker_tts_1"}


def test_a_stopped_process_stays_stopped_until_it_is_started(make_stack):
    with make_stack() as stack:
        stack.stop_process("worker_tts")
        assert "worker_tts" not in stack.processes()
        stack.start_process("worker_tts")
        first = stack.processes()["worker_tts"]
        stack.restart("worker_tts")
        assert stack.processes()["worker_tts"] != first
        with pytest.raises(StackError, match="no process 'nobody' in this stack; there are"):
            stack.stop_process("nobody")
        with pytest.raises(StackError, match="'nobody' is not running"):
            stack.kill("nobody")


def test_stop_ends_every_process_the_server_last(make_stack, tmp_path):
    # The worker's last act needs the server: it is there until the others have ended.
    worker = script(
        tmp_path / "worker.py",
        """
        import os, pathlib, redis, signal, sys
        client = redis.Redis.from_url(os.environ["VOXQUEUE_REDIS_URL"])
        def end(*_):
            client.set("last words", "goodbye")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        pathlib.Path(sys.argv[0] + ".ready").touch()
        while True:
            signal.pause()
        """,
    )
    stack = make_stack(f"worker_tts: {worker}\nweb: exec sleep 1000\n", env={"VOXQUEUE_SLOTS": "tts"})
    stack.start()
    wait_for_file(tmp_path / "worker.py.ready")
    ended = Pids(stack.processes().values())
    stack.stop()
    ended.wait_ended(seconds=1)
    assert not (stack.run_dir / "stack.json").exists()
    with make_stack() as again, redis.Redis.from_url(again.redis_url) as client:
        assert client.get("last words") == b"goodbye"


def test_a_second_stack_on_the_same_directory_is_refused(make_stack):
    with make_stack() as first:
        with pytest.raises(StackError, match=f"in use by another stack .process {os.getpid()}.*VOXQUEUE_DATA_DIR"):
            make_stack().start()
        assert set(first.processes()) == NAMES
        with make_stack(folder="other") as second:
            assert second.url != first.url


STARTER = """\
import sys
from app.stack import Stack
from pathlib import Path
stack = Stack(sys.argv[1], procfile_path=Path(sys.argv[2]))
stack.start()
print(*stack.processes().values(), stack._supervisord.pid, flush=True)
sys.stdin.read()
"""


def test_nothing_outlives_a_killed_parent_and_the_directory_can_be_used_again(make_stack, tmp_path):
    stack = make_stack()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, stack.data_dir, tmp_path / "Procfile"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        ended = Pids(map(int, parent.stdout.readline().split()))
        parent.kill()
        parent.wait()
        # At once, while the former processes are ending: it waits for them.
        with stack:
            ended.wait_ended(seconds=1)
            assert set(stack.processes()) == NAMES


def test_nothing_outlives_a_killed_supervisor(make_stack):
    with make_stack() as stack:
        ended = Pids(stack.processes().values())
        stack._supervisord.kill()
        stack._supervisord.wait()
        assert not stack.is_alive()
        with pytest.raises(StackError, match="the supervisor ended"):
            stack.wait_ready(5)
    ended.wait_ended(seconds=1)  # stopping waited for them


def test_stop_now_kills_at_once(make_stack):
    stubborn = "web: trap '' TERM; while :; do sleep 1; done\n"
    stack = make_stack(stubborn, env={"VOXQUEUE_SLOTS": ""})
    stack.start()
    ended = Pids(stack.processes().values())
    stack.stop_now()
    ended.wait_ended(seconds=5)


def test_ready_is_when_the_web_process_says_so(make_stack, tmp_path):
    web = script(tmp_path / "web.py", READY_SERVER)
    with make_stack(f"web: {web}\n", env={"VOXQUEUE_SLOTS": ""}) as stack:
        stack.wait_ready(30)
        assert stack.is_ready()


def test_not_ready_says_what_each_process_logged(make_stack):
    stack = make_stack("web: echo the reason is here; exec sleep 1000\n", env={"VOXQUEUE_SLOTS": ""})
    complaint = r"(?s)not ready after 1 s.*--- web: \w+\nthe reason is here"
    with stack, pytest.raises(StackError, match=complaint):
        stack.wait_ready(1)


def test_another_server_is_used_if_one_is_named_and_answers(make_stack):
    with make_stack() as first:
        env = {"VOXQUEUE_REDIS_URL": first.redis_url}
        with make_stack(folder="other", env=env) as second:
            assert second.redis_url == first.redis_url
            assert "valkey" not in second.processes()
    with pytest.raises(StackError, match="the server of VOXQUEUE_REDIS_URL does not answer"):
        make_stack(folder="third", env=env).start()


def test_a_server_of_somebody_else_on_the_chosen_port_is_noticed(make_stack, tmp_path):
    with make_stack() as stack:
        valkey.insist_on_own(stack.redis_url, stack.data_dir / "valkey")
        with pytest.raises(StackError, match="another server has taken the port"):
            valkey.insist_on_own(stack.redis_url, tmp_path / "mine")


# --- voxqueue up


def start_up(make_stack, tmp_path, *options):
    stack = make_stack(f"web: {script(tmp_path / 'web.py', READY_SERVER)}\n")
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "app.stack", "--port=0", f"--data-dir={stack.data_dir}"),
            *(f"--procfile={tmp_path / 'Procfile'}", *options),
        ],
        env={**os.environ, "VOXQUEUE_SLOTS": "", "VOXQUEUE_FLOWER_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process, text):
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return "".join(seen)
    raise AssertionError(f"{text!r} never came:\n{''.join(seen)}")


def supervised_by(pid):
    """Return the process IDs below `pid`, children's children included."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] + [p for child in children for p in supervised_by(child)]


def test_up_prints_the_addresses_when_ready_and_ctrl_c_ends_everything(make_stack, tmp_path):
    with start_up(make_stack, tmp_path) as up:
        printed = read_until(up, "Ctrl-C ends everything")
        for line in ("Ready after", "Page    http://127.0.0.1:", "/docs", "Flower  http://127.0.0.1:"):
            assert line in printed
        below = supervised_by(up.pid)
        assert len(below) == 3  # the supervisor, Valkey, web
        ended = Pids(below)
        up.send_signal(signal.SIGINT)
        read_until(up, "Stopped.")
        assert up.wait() == 0
        ended.wait_ended(seconds=1)


def test_up_with_parent_ends_with_its_parent(make_stack, tmp_path):
    # As `make run` does: a parent that is killed in the hardest way.
    text = f"web: {script(tmp_path / 'web.py', READY_SERVER)}\n"
    stack = make_stack(text)
    command = f"{sys.executable} -m app.stack --port=0 --data-dir={stack.data_dir} --procfile={tmp_path}/Procfile"
    with subprocess.Popen(
        ["sh", "-c", f"{command} --with-parent; exit 1"],
        env={**os.environ, "VOXQUEUE_SLOTS": "", "VOXQUEUE_FLOWER_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        read_until(shell, "Ctrl-C ends everything")
        ended = Pids(supervised_by(shell.pid))
        shell.kill()
        ended.wait_ended()


def test_up_says_in_one_line_why_it_does_not_start(make_stack, tmp_path):
    stack = make_stack()
    with stack, start_up(make_stack, tmp_path) as up:
        printed, _ = up.communicate(timeout=30)
        assert up.returncode == 1
        assert "Traceback" not in printed
        assert "Error: " in printed
        assert "in use by another stack" in printed
