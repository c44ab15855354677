"""Jobs that kill, hang or break their worker, among innocent ones; and a worker that is told to go."""

import contextlib
import json
import logging
import os
import signal
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import httpx
import pytest
from celery import Celery

from app.keys import PUBLIC
from app.stack import Stack
from jobs.broker import SEPARATOR
from jobs.connect import connect
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.specs import parse_spec
from jobs.states import Kind
from tests.e2e.faulty_app import BREAKS_CUDA, HANGS, KILLS, SLOW
from tests.e2e.jobs import finish, finish_all, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
log = logging.getLogger(__name__)
INNOCENT = "上海的夏天很暖和。"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Where the worker writes down what it speaks."""
    return tmp_path_factory.mktemp("spoken") / "sentences"


@pytest.fixture(scope="module")
def stack(tmp_path_factory, spoken):
    """A stack of its own whose TTS engine breaks on command."""
    folder = tmp_path_factory.mktemp("faults")
    lines = (Path(__file__).parents[2] / "Procfile").read_text("utf-8").splitlines()
    faulty = [line.replace("-A workers.app", "-A tests.e2e.faulty_app") for line in lines if "flower" not in line]
    (folder / "Procfile").write_text("\n".join(faulty), "utf-8")
    outer = {name: value for name, value in os.environ.items() if not name.startswith("VOXQUEUE_")}
    # Small batches: even on a busy machine a healthy one takes less than the watchdog's patience.
    env = {
        "VOXQUEUE_DEVICE": "cpu",
        "VOXQUEUE_WATCHDOG_SECONDS": "8",
        "VOXQUEUE_LOST_SECONDS": "5",
        "VOXQUEUE_DRAIN_SECONDS": "12",
        "VOXQUEUE_TTS_BATCH_ROWS": "8",
        "VOXQUEUE_TEST_SPOKEN": str(spoken),
    }
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


def test_a_drained_worker_loses_and_repeats_nothing_and_begins_no_other_batch(stack, client, spoken):
    spoken.write_text("")
    long = submit_tts(client, INNOCENT * 150)
    await_first_sentence(client, long)
    before, told = stack.kill("worker_tts", signal.SIGTERM), time.monotonic()
    ended = end_of(before)
    stack.wait_replaced("worker_tts", before)
    batches = [tuple(map(float, line.split())) for line in Path(f"{spoken}.batches").read_text().splitlines()]
    later = [begun for begun, _ in batches if told < begun < ended]
    longest = max(end - begun for begun, end in batches)
    log.info("ended %.2f s after SIGTERM; the longest batch took %.2f s", ended - told, longest)
    assert len(later) <= 1, "one may begin before the process has heard of the signal"
    job = finish(client, long)
    assert job["status"] == "succeeded"
    assert job["attempt"] == 2
    assert job["progress"] == {"done": 150, "total": 150, "unit": "sentence"}
    assert set(Counter(spoken.read_text().split()).values()) == {1}, "no sentence was begun twice"
    assert len(spoken.read_text().split()) == 150


def test_a_batch_that_takes_longer_than_a_drain_may_is_handed_back_at_the_next_row(stack, client):
    """A batch of a large voice on a CPU: eight rows take longer than the process has to end."""
    long = submit_tts(client, INNOCENT * 8, speed=SLOW)
    await_first_sentence(client, long)
    before = stack.kill("worker_tts", signal.SIGTERM)
    end_of(before)
    done = client.get(f"/v1/jobs/{long}").json()["progress"]["done"]
    stack.wait_replaced("worker_tts", before)
    assert "the drain took too long" not in stack.log("worker_tts", 5000)
    assert 2 <= done < 8, "what was spoken is kept, and the rest was not waited for"
    job = finish(client, long)
    assert (job["status"], job["attempt"], job["progress"]["done"]) == ("succeeded", 2, 8)


def await_first_sentence(client, job_id):
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as events:
        told_of = (json.loads(line[5:]) for line in events.iter_lines() if line.startswith("data:"))
        next(job for job in told_of if job["progress"]["done"])


def end_of(pid):
    """Wait for the end of a process; return when that was."""
    with contextlib.suppress(OSError):
        while ") Z " not in Path(f"/proc/{pid}/stat").read_text():
            time.sleep(0.01)
    return time.monotonic()


def test_a_job_whose_message_was_never_sent_is_found(stack, client):
    """Whoever wrote it down died before sending; one that a dying worker had popped looks the same."""
    spec = parse_spec(Kind.TTS, {"text": INNOCENT}).model_dump_json()
    new = NewJob(new_id(), Kind.TTS, "tts", 4, PUBLIC, spec, characters=len(INNOCENT))
    with connect(stack.redis_url) as redis:
        Ledger(redis).submit(new)
    job = finish(client, new.id)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)


def test_a_worker_that_hears_nothing_any_more_is_replaced(stack, client):
    """As after some reconnects to Redis: process, pings and leases go on, deliveries do not come."""
    assert finish(client, submit_tts(client, INNOCENT))["status"] == "succeeded"
    before = stack.processes()["worker_tts"]
    with Celery(broker=stack.redis_url, set_as_current=False) as celery:
        celery.conf.broker_transport_options = {"sep": SEPARATOR}  # else the answers find no way back
        replies = celery.control.cancel_consumer("tts", reply=True, timeout=10)
    assert any("tts" in name for reply in replies for name in reply), replies
    waiting = submit_tts(client, INNOCENT)
    stack.wait_replaced("worker_tts", before)
    job = finish(client, waiting)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert "nothing was delivered" in stack.log("worker_tts", 5000)
