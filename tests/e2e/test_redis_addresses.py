"""The whole stack on a server behind TLS, and on one that sentinels replace in the middle of the work."""

import os

import httpx
import pytest

from app.stack import Stack
from app.stack.environment import without_settings
from tests.conftest import TlsDoor
from tests.e2e.jobs import finish, finish_all, submit_tts
from tests.e2e.test_flower import seen

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
TEXTS = [f"{place}的夏天很暖和。" for place in ("上海", "北京")]


def stack_on(url, folder):
    settings = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_REDIS_URL": url, "VOXQUEUE_FLOWER_BASIC_AUTH": "a:b"}
    return Stack(folder / "data", env=settings, outer=without_settings(os.environ))


def client_of(stack):
    return httpx.Client(base_url=stack.url, timeout=90)


def test_everything_speaks_tls_with_a_client_certificate(own_valkey, tmp_path):
    door = TlsDoor(own_valkey.port, tmp_path).start()
    with stack_on(door.url_with_certificate, tmp_path) as stack:
        stack.wait_ready(180)
        with client_of(stack) as client:
            job = finish(client, submit_tts(client, TEXTS[0]))
            assert job["status"] == "succeeded"
        with httpx.Client(base_url=stack.flower_url, auth=("a", "b"), timeout=30) as flower:
            seen(flower, job["id"], "SUCCESS")
            assert [one["name"] for one in flower.get("/api/queues/length").json()["active_queues"]]
    door.stop()


def test_a_failover_in_the_middle_loses_no_job(sentinel_group, tmp_path):
    """The replica has all that was acknowledged half a second ago; the workers go on with it by themselves."""
    with stack_on(sentinel_group.url, tmp_path) as stack:
        stack.wait_ready(180)
        with client_of(stack) as client:
            ids = [submit_tts(client, TEXTS[number % 2] * 3) for number in range(40)]
            assert finish(client, ids[0])["status"] == "succeeded"
            sentinel_group.kill_primary()
            assert {job["status"] for job in finish_all(client, ids)} == {"succeeded"}
            assert finish(client, submit_tts(client, TEXTS[0]))["status"] == "succeeded"
            assert client.get("/readyz").status_code == 200
        pids = stack.processes()
        assert set(stack.states().values()) == {"RUNNING"}, pids
