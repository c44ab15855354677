"""Disks that are full or read-only, under the files and under the ledger: clear answers, nothing by halves."""

import io
import itertools
import wave

import pytest

from app import create_app
from jobs.settings import Settings
from tests.app.problems import assert_problem
from tests.conftest import ValkeyProcess


@pytest.fixture
def client(app_of, tiny_disk):
    return app_of(data_dir=tiny_disk.folder).test_client()


def upload(client, size):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(size))
    return client.post("/v1/stt", data={"file": (io.BytesIO(file.getvalue()), "a.wav")})


def assert_put_off(answer, code):
    assert_problem(answer, 503, code)
    assert int(answer.headers["Retry-After"]) > 0


def test_an_upload_to_a_full_disk_is_put_off_and_leaves_nothing(client, tiny_disk):
    assert_put_off(upload(client, 2 * tiny_disk.SIZE), "store_full")
    assert not [path for path in tiny_disk.folder.rglob("*") if path.is_file()]
    assert client.get("/v1/jobs").json["data"] == []
    assert upload(client, 1000).status_code == 202


def test_a_store_that_has_become_read_only_takes_no_uploads_and_gives_results(client, tiny_disk):
    job = upload(client, 1000).json
    tiny_disk.make_read_only()
    assert_put_off(upload(client, 1000), "store_read_only")
    assert client.get(f"/v1/jobs/{job['id']}/inputs/a.wav").status_code == 200
    # The record goes at once; its files stay in the sweepers' trash until they can be removed.
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    tiny_disk.make_writable()
    assert upload(client, 1000).status_code == 202


def test_a_ledger_whose_disk_is_full_takes_nothing_in_and_forgets_nothing(tiny_disk, tmp_path):
    valkey = ValkeyProcess(tiny_disk.folder, appendfsync="everysec").start()
    client = create_app(Settings(redis_url=valkey.url, data_dir=tmp_path, api_keys="")).test_client()
    kept = client.post("/v1/tts", json={"text": "你好。"}).json["id"]
    tiny_disk.fill()
    answers = (client.post("/v1/tts", json={"text": "你好。"}) for _ in itertools.count())
    refused = next(answer for answer in answers if answer.status_code != 202)
    assert_put_off(refused, "redis_away")
    assert client.get(f"/v1/jobs/{kept}").json["status"] == "queued"
    tiny_disk.make_room()
    while client.post("/v1/tts", json={"text": "你好。"}).status_code == 503:
        pass  # Valkey tries its file again every second
    before = len(client.get("/v1/jobs", query_string={"limit": 200}).json["data"])
    valkey.kill()
    valkey.start()
    assert len(client.get("/v1/jobs", query_string={"limit": 200}).json["data"]) >= before - 1
    valkey.kill()
