"""`POST /v1/tts`, and what all submits have in common."""

import dataclasses
import json

import pytest

from app.turnstile import Turnstile
from jobs.specs import SAMPLE_RATES
from tests.app.problems import assert_problem


def test_a_text_becomes_a_queued_job(client, redis):
    answer = client.post("/v1/tts", json={"text": "你好，世界。", "metadata": {"row": "7"}})
    assert answer.status_code == 202
    job = answer.json
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (job["kind"], job["status"], job["attempt"], job["error"]) == ("tts", "queued", 0, None)
    assert job["input"]["text"] == "你好，世界。"
    assert job["metadata"] == {"row": "7"}
    assert job["queue_position"] == 0
    assert client.get(job["links"]["self"]).json["id"] == job["id"]


def test_the_celery_message_carries_the_jobs_id(client, redis):
    job = client.post("/v1/tts", json={"text": "你好。", "priority": "interactive"}).json
    message = json.loads(redis.lindex("tts:1", -1))
    assert message["headers"]["id"] == job["id"]
    assert message["headers"]["task"] == "tts"


def test_priorities_go_to_lists_of_their_own(client, submit):
    bulk = submit(priority="bulk")
    submit(priority="interactive")
    assert client.get(f"/v1/jobs/{bulk}").json["queue_position"] == 1


def test_a_text_of_the_greatest_length_passes_and_one_more_does_not(app_of):
    client = app_of(max_text_chars=10).test_client()
    assert client.post("/v1/tts", json={"text": "一" * 10}).status_code == 202
    answer = client.post("/v1/tts", json={"text": "一" * 11})
    assert_problem(answer, 422, "invalid_request", "text", 10)


def test_three_million_characters_are_refused_by_name(client):
    assert_problem(client.post("/v1/tts", json={"text": "一" * 3_000_000}), 422, field="text", limit=100_000)


@pytest.mark.parametrize(
    ("body", "field", "limit"),
    [
        ({}, "text", None),
        ({"text": ""}, "text", None),
        ({"text": " \n\t"}, "text", None),
        ({"text": 7}, "text", None),
        ({"text": "a\x00b"}, "text", None),
        ({"text": "a", "speed": 2.5}, "speed", 2.0),
        ({"text": "a", "speed": 0.4}, "speed", 0.5),
        ({"text": "a", "speed": "fast"}, "speed", None),
        ({"text": "a", "format": "wma"}, "format", None),
        ({"text": "a", "subtitles": ["srt", "ass"]}, "subtitles[1]", None),
        ({"text": "a", "sample_rate": 44000}, "sample_rate", None),
        ({"text": "a", "markup": "html"}, "markup", None),
        ({"text": "a", "priority": "urgent"}, "priority", None),
        ({"text": "a", "timeout_seconds": 0}, "timeout_seconds", 0),
        ({"text": "a", "metadata": {str(n): "x" for n in range(17)}}, "metadata", 16),
        ({"text": "a", "metadata": {"a": 1}}, "metadata.a", None),
        ({"text": "a", "webhook": {"url": "ftp://example.com"}}, "webhook.url", None),
        ({"text": "a", "webhook": {"url": "http://127.0.0.1/"}}, "webhook.url", None),
        ({"text": "a", "voise": "x"}, "voise", None),
        (["text"], "body", None),
        ("text", "body", None),
    ],
)
def test_a_wrong_field_is_named(client, body, field, limit):
    assert_problem(client.post("/v1/tts", json=body), 422, "invalid_request", field, limit)


def test_null_is_no_request(client):
    assert_problem(client.post("/v1/tts", data="null", content_type="application/json"), 422, field="body")


def test_a_misspelt_field_is_answered_with_the_right_one(client):
    problem = assert_problem(client.post("/v1/tts", json={"text": "a", "voise": "x"}), 422)
    assert "did you mean voice?" in problem["detail"]


@pytest.mark.parametrize("rate", SAMPLE_RATES)
def test_usual_sample_rates_pass(client, rate):
    assert client.post("/v1/tts", json={"text": "a", "sample_rate": rate}).status_code == 202


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"text": NaN}', b'{"text": "\\ud800"}', b"\xff\xfe", b"[" * 100_000, b'{"text": "a"} x']
)
def test_what_is_no_json_is_400(client, body):
    assert_problem(client.post("/v1/tts", data=body, content_type="application/json"), 400, "invalid_json")


@pytest.mark.parametrize("media_type", [None, "text/plain", "multipart/form-data; boundary=x", "audio/wav"])
def test_another_media_type_is_415(client, media_type):
    answer = client.post("/v1/tts", data=b'{"text": "a"}', content_type=media_type)
    problem = assert_problem(answer, 415, "unsupported_media_type")
    assert "application/json" in problem["detail"]


def test_a_voice_is_checked_against_what_workers_published(client, registry):
    assert client.post("/v1/tts", json={"text": "a", "voice": "anything"}).status_code == 202  # none known yet
    registry.publish("voices", {"demo": {"speakers": ["F7", "M1"], "emotions": ["neutral", "happy"]}})
    for voice in ("demo", "demo/F7", "M1"):
        answer = client.post("/v1/tts", json={"text": "a", "voice": voice, "emotion": "happy"})
        assert answer.status_code == 202, voice
    for voice in ("nobody", "demo/F9", "other/F7", "/", "demo/"):
        problem = assert_problem(client.post("/v1/tts", json={"text": "a", "voice": voice}), 422, field="voice")
        assert "demo" in problem["detail"] or "F7" in problem["detail"]
    wrong = client.post("/v1/tts", json={"text": "a", "voice": "demo", "emotion": "furious"})
    assert "happy" in assert_problem(wrong, 422, field="emotion")["detail"]


def test_an_idempotency_key_gives_the_same_job_again(client):
    headers = {"Idempotency-Key": "order-7"}
    first = client.post("/v1/tts", json={"text": "你好。"}, headers=headers)
    again = client.post("/v1/tts", json={"speed": 1, "text": "你好。"}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert again.headers["Location"] == first.headers["Location"]
    other = client.post("/v1/tts", json={"text": "再见。"}, headers=headers)
    assert_problem(other, 409, "idempotency_conflict")
    assert len(client.get("/v1/jobs").json["data"]) == 1


def test_an_idempotency_key_has_a_limit(client):
    answer = client.post("/v1/tts", json={"text": "a"}, headers={"Idempotency-Key": "k" * 256})
    assert_problem(answer, 400, field="Idempotency-Key", limit=255)


def test_a_full_queue_is_429_with_retry_after(app_of):
    client = app_of(max_waiting=1).test_client()
    assert client.post("/v1/tts", json={"text": "a"}).status_code == 202
    answer = client.post("/v1/tts", json={"text": "a"})
    assert_problem(answer, 429, "queue_full")
    assert int(answer.headers["Retry-After"]) > 0


def test_more_submits_than_can_be_written_down_are_503(app, client):
    full = Turnstile(0, patience=0.01)
    app.extensions["voxqueue"] = dataclasses.replace(app.extensions["voxqueue"], turnstile=full)
    answer = client.post("/v1/tts", json={"text": "a"})
    assert_problem(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) > 0


def test_redis_away_is_503_with_retry_after_and_no_reason_not_to_start(app_of):
    app = app_of(redis_url="redis://127.0.0.1:1/0")
    client = app.test_client()
    answer = client.post("/v1/tts", json={"text": "a"})
    assert_problem(answer, 503, "redis_away")
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert b"voxqueue_redis_up 0.0" in client.get("/metrics").data


def test_a_fault_of_ours_is_500_without_its_trace(app, client, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(app.extensions["voxqueue"].ledger), "submit", broken)
    answer = client.post("/v1/tts", json={"text": "a"})
    assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
