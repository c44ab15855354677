"""Jobs that kill, hang or break their worker, among innocent ones; and a worker that is told to go."""

import os
import signal
from pathlib import Path
from unittest import mock

import httpx
import pytest

from app.stack import Stack
from tests.e2e.faulty_app import BREAKS_CUDA, HANGS, KILLS
from tests.e2e.jobs import finish, finish_all, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
INNOCENT = "上海的夏天很暖和。"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A stack of its own whose TTS engine breaks on command."""
    folder = tmp_path_factory.mktemp("faults")
    lines = (Path(__file__).parents[2] / "Procfile").read_text("utf-8").splitlines()
    faulty = [line.replace("-A workers.app", "-A tests.e2e.faulty_app") for line in lines if "flower" not in line]
    (folder / "Procfile").write_text("\n".join(faulty), "utf-8")
    outer = {name: value for name, value in os.environ.items() if not name.startswith("VOXQUEUE_")}
    # Small batches: even on a busy machine a healthy one takes less than the watchdog's patience.
    env = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_WATCHDOG_SECONDS": "8", "VOXQUEUE_TTS_BATCH_ROWS": "8"}
    with (
        mock.patch.dict(os.environ, outer, clear=True),
        Stack(folder / "data", env=env, procfile_path=folder / "Procfile") as running,
    ):
        running.wait_ready(180)
        yield running


@pytest.fixture(scope="module")
def client(stack):
    with httpx.Client(base_url=stack.url, timeout=90) as opened:
        yield opened


def test_a_poison_job_kills_itself_and_no_neighbour(client):
    innocents = [submit_tts(client, INNOCENT) for _ in range(15)]
    poison = submit_tts(client, INNOCENT, speed=KILLS)
    innocents += [submit_tts(client, INNOCENT) for _ in range(15)]
    condemned = finish(client, poison)
    assert condemned["status"] == "failed"
    assert condemned["error"]["type"] == "worker_died"
    assert {job["status"] for job in finish_all(client, innocents)} == {"succeeded"}


def test_a_hung_engine_is_replaced_and_its_neighbours_go_on(stack, client):
    before = stack.processes()["worker_tts"]
    hanging = submit_tts(client, INNOCENT, speed=HANGS)
    innocents = [submit_tts(client, INNOCENT) for _ in range(5)]
    assert {job["status"] for job in finish_all(client, innocents)} == {"succeeded"}
    assert stack.processes()["worker_tts"] != before
    assert finish(client, hanging)["error"]["type"] == "worker_died"


def test_after_a_cuda_error_the_process_is_replaced(stack, client):
    broken = submit_tts(client, INNOCENT, speed=BREAKS_CUDA)
    innocents = [submit_tts(client, INNOCENT) for _ in range(5)]
    assert {job["status"] for job in finish_all(client, innocents)} == {"succeeded"}
    assert finish(client, broken)["error"]["type"] == "worker_died"


def test_a_drained_worker_loses_and_repeats_nothing(stack, client):
    long = submit_tts(client, INNOCENT * 150)
    with client.stream("GET", f"/v1/jobs/{long}/events") as events:
        next(line for line in events.iter_lines() if line.startswith("data:") and '"done":0' not in line)
    before = stack.kill("worker_tts", signal.SIGTERM)
    stack.wait_replaced("worker_tts", before)
    job = finish(client, long)
    assert job["status"] == "succeeded"
    assert job["attempt"] == 2
    assert job["progress"] == {"done": 150, "total": 150, "unit": "sentence"}
