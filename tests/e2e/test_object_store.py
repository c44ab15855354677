"""Results in S3: the whole line over a real server, which then goes away and comes back."""

import os
from pathlib import Path
from unittest import mock

import httpx
import pytest

from app.stack import Stack
from tests.conftest import ObjectStore
from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
TEXT = "上海的夏天很暖和。"


@pytest.fixture(scope="module")
def bucket():
    server = ObjectStore().start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def client(bucket, tmp_path_factory):
    folder = tmp_path_factory.mktemp("object-store")
    lines = (Path(__file__).parents[2] / "Procfile").read_text("utf-8").splitlines()
    (folder / "Procfile").write_text("\n".join(line for line in lines if "flower" not in line), "utf-8")
    outer = {name: value for name, value in os.environ.items() if not name.startswith("VOXQUEUE_")}
    env = {"VOXQUEUE_DEVICE": "cpu", "VOXQUEUE_RESULTS": bucket.url, **bucket.environment}
    with (
        mock.patch.dict(os.environ, outer, clear=True),
        Stack(folder / "data", env=env, procfile_path=folder / "Procfile") as running,
    ):
        running.wait_ready(180)
        with httpx.Client(base_url=running.url, timeout=90) as opened:
            yield opened


def test_spoken_heard_fetched_in_ranges_and_deleted(client, bucket):
    spoken = finish(client, submit_tts(client, TEXT))
    assert spoken["status"] == "succeeded"
    url = f"/v1/jobs/{spoken['id']}/files/speech.wav"
    whole = client.get(url)
    part = client.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    assert client.get(url, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304

    answer = client.post("/v1/stt", files={"file": ("a.wav", whole.content)})
    heard = finish(client, answer.json()["id"])
    assert heard["output"]["text"].rstrip("。") == TEXT.rstrip("。")

    for job in (spoken, heard):
        assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    objects, uploads = bucket.keys()
    assert (set(objects) - {"results/.owner"}, uploads) == (set(), [])


def test_while_the_store_is_away_uploads_are_put_off_and_running_jobs_wait(client, bucket):
    bucket.kill()
    refused = client.post("/v1/stt", files={"file": ("a.wav", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(100))})
    assert refused.status_code == 503
    assert (refused.json()["code"], refused.headers["Retry-After"]) == ("store_failed", "5")
    waiting = submit_tts(client, TEXT)
    while client.get(f"/v1/jobs/{waiting}", params={"wait": 1}).json()["status"] == "queued":
        pass
    bucket.start()
    job = finish(client, waiting)
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert client.get(f"/v1/jobs/{waiting}/files/speech.wav").status_code == 200
