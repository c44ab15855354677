"""Two thousand recordings in one request: real HTTP, planned, retried and assembled; only the hearing is a hand's."""

import csv
import io
import json

import httpx
import pytest

from bench.servers import gunicorn
from jobs.answers import Delivery
from jobs.settings import Settings
from jobs.states import Status
from tests.workers.household import Household

pytestmark = pytest.mark.slow
COUNT, BROKEN = 2000, 100


@pytest.fixture
def client(redis_url, tmp_path):
    environment = {"VOXQUEUE_REDIS_URL": redis_url, "VOXQUEUE_DATA_DIR": str(tmp_path), "VOXQUEUE_API_KEYS": ""}
    with gunicorn("app:create_app()", environment) as url, httpx.Client(base_url=url, timeout=120) as opened:
        yield opened


def submitted(client, house, count):
    """Send recordings in folders as one request; the ID of the job, planned."""
    files = [("files", (f"talks/{n // 100}/{n}.wav", b"RIFF0000WAVE%d" % n)) for n in range(count)]
    answer = client.post("/v1/transcripts", files=files, data={"formats": "txt"})
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def cost_of_a_look(client, redis, job_id):
    """The commands that a poll costs, and the length of its answer."""
    client.get(f"/v1/jobs/{job_id}")  # scripts and connections are there
    redis.config_resetstat()
    answer = client.get(f"/v1/jobs/{job_id}")
    stats = redis.info("commandstats")
    background = {"cmdstat_info", "cmdstat_config|resetstat", "cmdstat_ping", "cmdstat_client|setinfo", "cmdstat_hello"}
    return {name: stats[name]["calls"] for name in stats.keys() - background}, len(answer.content)


def ids_of(house, parent, **options):
    return [child.id for child in house.queries.children(parent, limit=COUNT, **options).jobs]


def test_two_thousand_recordings_in_one_request(client, redis, tmp_path):
    house = Household(redis, Settings(data_dir=tmp_path))

    def wake(job_id):
        job = house.queries.get(job_id)
        house.send([Delivery(job.id, job.kind, job.phase, job.queue, job.step, int(job.sequence))])

    few, many = submitted(client, house, 2), submitted(client, house, COUNT)
    for job_id in (few, many):
        wake(job_id)
        assert house.run(job_id) is None
    assert house.queries.count_children(many)["queued"] == COUNT
    (few_commands, few_bytes), (many_commands, many_bytes) = (
        cost_of_a_look(client, redis, job_id) for job_id in (few, many)
    )
    assert many_commands == few_commands
    assert many_bytes < few_bytes + 100 * 100, "of two thousand names a hundred are shown"
    assert redis.memory_usage(f"vq:job:{many}", samples=0) < 64 * 1024

    broken = set()
    for number, child in enumerate(ids_of(house, many)):
        if number % (COUNT // BROKEN) == 0:
            house.fail(child)
            broken.add(child)
        else:
            house.hear(child, f"第{number}个")
    assert house.run(many) is None
    summary = list(csv.DictReader(io.StringIO(house.read(many, "summary.csv").decode("utf-8-sig"))))
    assert [row["file"] for row in summary] == [f"talks/{n // 100}/{n}.wav" for n in range(COUNT)]
    assert {row["job"] for row in summary if row["status"] == "failed"} == broken

    assert client.post(f"/v1/jobs/{many}/retry").status_code == 202
    house.due.clear()
    for child in ids_of(house, many, status=Status.QUEUED):
        assert child in broken
        wake(child)
        house.hear(child)
    assert house.queries.count_children(many)["succeeded"] == COUNT
    assert house.run(many) is None
    assert {row["status"] for row in json.loads(house.read(many, "summary.json"))} == {"succeeded"}
