"""A job's webhook as clients see it: what was called is listed, and it can be called again."""

import base64
import hashlib
import hmac
import threading

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app import create_app
from jobs.webhooks import Webhooks
from tests.app.problems import assert_problem
from tests.jobs.test_webhooks import Receiver

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, hm").decode()


@pytest.fixture
def receiver():
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def app(settings_of):
    return create_app(settings_of(allowed_networks="127.0.0.0/8", webhook_secret=SECRET))


@pytest.fixture
def call_what_is_due(services):
    """Do what the worker for deliveries does, once."""
    webhooks = Webhooks(services.ledger, services.settings)

    def call():
        due = webhooks.due()
        for call in due:
            webhooks.call(call.id, call.number)
        return [call.id for call in due]

    return call


def test_calls_are_listed_410_ends_them_and_a_client_may_have_it_called_again(
    client, hand, receiver, submit, call_what_is_due
):
    receiver.statuses = [500, 410]
    job_id = submit(webhook={"url": receiver.url}, metadata={"order": "7"})
    assert client.get(f"/v1/jobs/{job_id}/webhook").json == {"url": receiver.url, "calls": []}
    assert_problem(client.post(f"/v1/jobs/{job_id}/webhook"), 409, "wrong_state")
    hand.succeed(job_id)
    assert call_what_is_due() == [job_id]
    assert call_what_is_due() == [], "a failed call has its pause"
    for status in (410, 200):
        answer = client.post(f"/v1/jobs/{job_id}/webhook")
        assert (answer.status_code, answer.json["url"]) == (202, receiver.url)
        assert call_what_is_due() == [job_id]
        assert client.get(f"/v1/jobs/{job_id}/webhook").json["calls"][-1]["status"] == status
        assert call_what_is_due() == [], "neither gone nor delivered is called by itself"
    calls = client.get(f"/v1/jobs/{job_id}/webhook").json["calls"]
    assert [(call["attempt"], call["status"]) for call in calls] == [(1, 500), (2, 410), (3, 200)]
    client.delete(f"/v1/jobs/{job_id}")
    assert_problem(client.get(f"/v1/jobs/{job_id}/webhook"), 404)


def test_the_signature_is_that_of_the_standard(client, hand, receiver, submit, call_what_is_due):
    job_id = submit(webhook={"url": receiver.url}, metadata={"bestellung": "sieben — 七"})
    hand.fail(job_id)
    call_what_is_due()
    [(headers, body)] = receiver.got
    given = {name.lower(): value for name, value in headers.items()}
    signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert given["webhook-signature"] == f"v1,{expected}"
    told = Webhook(client.get("/v1/webhook-secret").json["secret"]).verify(body, given)
    assert told["type"] == "job.failed"
    assert told["data"] == {
        "id": job_id, "kind": "tts", "status": "failed", "metadata": {"bestellung": "sieben — 七"},
    }  # fmt: skip
    for changed in (body.replace(b"failed", b"succeeded"), body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed, given)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**given, "webhook-timestamp": "1000000000"})
