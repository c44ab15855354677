"""Operators hold and resume; the calls of a webhook are seen and asked for again."""

import pytest

from jobs.ledger import Claim, Refusal
from tests.app.problems import assert_problem


def claim(services, job_id):
    """Claim a job as a worker would, by its newest delivery."""
    return services.ledger.claim(job_id, int(services.queries.get(job_id).sequence or 0), "worker")


def test_a_held_queue_waits_and_goes_on_when_it_is_resumed(client, services):
    assert client.post("/v1/holds", json={"what": "queue:tts"}).json["held"] == ["queue:tts"]
    job_id = client.post("/v1/tts", json={"text": "你好。"}).json["id"]
    refused = claim(services, job_id)
    assert isinstance(refused, Refusal)
    assert refused.why == "held"
    assert client.get(f"/v1/jobs/{job_id}").json["status"] == "queued"
    assert client.delete("/v1/holds", json={"what": "queue:tts"}).json["held"] == []
    [delivery] = services.ledger.unpark()
    assert isinstance(services.ledger.claim(job_id, delivery.sequence, "worker"), Claim)


def test_a_drained_queue_is_given_back_by_its_workers_and_seen_by_all(client, services):
    job_id = client.post("/v1/tts", json={"text": "你好。"}).json["id"]
    running = claim(services, job_id)
    client.post("/v1/holds", json={"what": "owner:carl"})
    found = client.post("/v1/holds", json={"what": "queue:tts", "drain": True}).json
    assert (found["drained"], found["running"], found["waiting_characters"]) == (
        ["queue:tts"], {"tts": 1, "stt": 0, "cpu": 0}, 3,
    )  # fmt: skip
    assert services.ledger.renew([running]).signals == {job_id: "yield"}
    assert client.get("/readyz").json["held"] == ["queue:tts"], "owners are nobody's business"
    services.ledger.release(running, front=False)
    assert claim(services, job_id).why == "held"
    found = client.get("/v1/holds").json
    assert (found["parked"], found["running"]["tts"]) == ({"queue:tts": 1}, 0)
    client.post("/v1/holds", json={"what": "queue:tts"})
    assert client.get("/v1/holds").json["drained"] == []


@pytest.mark.parametrize("what", ["queue:none", "tts", "owner:", "kind:*", 3, None])
def test_what_cannot_be_held_is_refused(client, what):
    assert_problem(client.post("/v1/holds", json={"what": what}), 422, field="what")


def test_webhooks_are_seen_and_called_again_only_when_there_is_one(client, services):
    url = "https://example.com/hook"
    with_hook = client.post("/v1/tts", json={"text": "你好。", "webhook": {"url": url}}).json["id"]
    assert client.get(f"/v1/jobs/{with_hook}/webhook").json == {"url": url, "calls": []}
    assert client.post(f"/v1/jobs/{with_hook}/webhook").status_code == 409  # it has not ended
    client.post(f"/v1/jobs/{with_hook}/cancel")
    assert client.post(f"/v1/jobs/{with_hook}/webhook").status_code == 202
    without = client.post("/v1/tts", json={"text": "你好。"}).json["id"]
    assert client.post(f"/v1/jobs/{without}/webhook").status_code == 409
    assert client.get("/v1/webhook-secret").json["secret"].startswith("whsec_")
