"""`/v1/jobs`: one, many, wait, cancel, retry, delete."""

import threading

import pytest

from tests.app.problems import assert_problem

UNKNOWN = "01m7y2t1wgghqtzswdpw5g3spc"


def test_a_running_and_a_finished_job_show_what_the_contract_says(client, submit, hand):
    job_id = submit()
    hand.succeed(job_id, [("speech.wav", "audio/wav", b"RIFF")], duration_seconds=2.0)
    job = client.get(f"/v1/jobs/{job_id}").json
    assert set(job) >= {
        "id", "kind", "status", "progress", "created_at", "started_at", "finished_at", "expires_at", "attempt",
        "input", "metadata", "output", "error", "metrics", "links",
    }  # fmt: skip
    assert (job["status"], job["attempt"]) == ("succeeded", 1)
    assert "queue_position" not in job
    assert job["output"]["files"] == [
        {"name": "speech.wav", "media_type": "audio/wav", "bytes": 4, "url": f"/v1/jobs/{job_id}/files/speech.wav"}
    ]
    assert job["created_at"].endswith("Z")
    assert job["expires_at"] > job["finished_at"] >= job["started_at"] >= job["created_at"]
    assert job["metrics"]["audio_seconds"] == 2.0


def test_retry_after_is_sent_until_the_end(client, submit, hand):
    job_id = submit()
    assert "Retry-After" in client.get(f"/v1/jobs/{job_id}").headers
    hand.succeed(job_id)
    assert "Retry-After" not in client.get(f"/v1/jobs/{job_id}").headers


@pytest.mark.parametrize("job_id", [UNKNOWN, "x", "..", "%2e%2e", "a" * 3000])
def test_an_unknown_job_is_404(client, job_id):
    assert_problem(client.get(f"/v1/jobs/{job_id}"), 404)
    assert_problem(client.delete(f"/v1/jobs/{job_id}"), 404)
    assert_problem(client.post(f"/v1/jobs/{job_id}/cancel"), 404)
    assert_problem(client.post(f"/v1/jobs/{job_id}/retry"), 404)
    assert_problem(client.get(f"/v1/jobs/{job_id}/events"), 404)
    assert_problem(client.get(f"/v1/jobs/{job_id}/files/a.wav"), 404)


def test_wait_answers_when_the_job_ends(app, client, submit, hand):
    job_id = submit()
    answers = []
    waiter = threading.Thread(
        target=lambda: answers.append(app.test_client().get(f"/v1/jobs/{job_id}?wait=60").json["status"])
    )
    waiter.start()
    hand.succeed(job_id)
    waiter.join(30)
    assert answers == ["succeeded"]


def test_wait_gives_up_in_time(client, submit):
    assert client.get(f"/v1/jobs/{submit()}?wait=0.01").json["status"] == "queued"


@pytest.mark.parametrize("wait", ["61", "-1", "nan", "soon"])
def test_wait_has_limits(client, submit, wait):
    assert_problem(client.get(f"/v1/jobs/{submit()}?wait={wait}"), 422, field="wait")


def test_the_list_is_newest_first_and_goes_on_by_after(client, submit):
    ids = [submit() for _ in range(5)]
    first = client.get("/v1/jobs?limit=3").json
    assert [job["id"] for job in first["data"]] == ids[:1:-1]
    assert first["has_more"]
    rest = client.get(f"/v1/jobs?limit=3&after={first['next']}").json
    assert [job["id"] for job in rest["data"]] == ids[1::-1]
    assert (rest["has_more"], rest["next"]) == (False, None)


def test_the_list_can_be_narrowed(client, submit, hand):
    ids = [submit() for _ in range(3)]
    hand.succeed(ids[1])
    assert [job["id"] for job in client.get("/v1/jobs?status=succeeded&kind=tts").json["data"]] == [ids[1]]
    assert client.get("/v1/jobs?kind=stt").json["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("status=done", "status"),
        ("kind=song", "kind"),
        ("color=red", "color"),
        (f"after={UNKNOWN}", "after"),
    ],
)
def test_a_wrong_query_is_named(client, query, field):
    assert_problem(client.get(f"/v1/jobs?{query}"), 422, field=field)


def test_children_of_nobody_are_404(client):
    assert_problem(client.get(f"/v1/jobs?parent={UNKNOWN}"), 404)


def test_cancel_ends_a_waiting_job_at_once_and_a_second_time_is_409(client, submit):
    job_id = submit()
    answer = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json["status"]) == (200, "canceled")
    assert_problem(client.post(f"/v1/jobs/{job_id}/cancel"), 409, "wrong_state")


def test_cancel_of_a_running_job_is_promised(client, submit, hand):
    job_id = submit()
    claim = hand.claim(job_id)
    answer = client.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json["status"]) == (202, "running")
    assert hand.ledger.renew([claim]).signals[job_id] == "cancel"


def test_retry_queues_a_failed_job_again_and_nothing_else(client, submit, hand, redis):
    job_id = submit()
    assert_problem(client.post(f"/v1/jobs/{job_id}/retry"), 409, "wrong_state")
    hand.fail(job_id)
    failed = client.get(f"/v1/jobs/{job_id}").json
    assert failed["error"] == {"type": "no_audio_stream", "title": "No audio", "detail": "the file has no sound"}
    messages = redis.llen("tts:4")
    answer = client.post(f"/v1/jobs/{job_id}/retry")
    assert (answer.status_code, answer.json["status"], answer.json["error"]) == (202, "queued", None)
    assert redis.llen("tts:4") == messages + 1
    hand.succeed(job_id)
    assert_problem(client.post(f"/v1/jobs/{job_id}/retry"), 409, "wrong_state")


def test_delete_takes_the_record_and_the_files(client, submit, hand, services):
    job_id = submit()
    hand.succeed(job_id, [("speech.wav", "audio/wav", b"RIFF")])
    assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert_problem(client.get(f"/v1/jobs/{job_id}"), 404, "job_not_found")
    assert_problem(client.get(f"/v1/jobs/{job_id}/files/speech.wav"), 404)
    assert list(services.store.job_ids()) == []
    assert client.get("/v1/jobs").json["data"] == []


def test_a_long_text_is_cut_in_the_job(client, submit):
    shown = client.get(f"/v1/jobs/{submit('好' * 5000)}").json["input"]
    assert (len(shown["text"]), shown["text_truncated"]) == (1000, True)


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/v1/jobs/a/b/c"])
def test_an_unknown_path_is_404(client, path):
    assert_problem(client.get(path), 404, "not_found")


def test_a_wrong_method_is_405_and_says_which_are_right(client):
    answer = client.put("/v1/tts", json={})
    assert_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_a_job_is_found_by_its_idempotency_key(client):
    body = {"text": "你好。"}
    made = client.post("/v1/tts", json=body, headers={"Idempotency-Key": "my:key"}).json["id"]
    found = client.get("/v1/jobs", query_string={"idempotency_key": "my:key"}).json
    assert ([job["id"] for job in found["data"]], found["has_more"]) == ([made], False)
    assert client.get("/v1/jobs?idempotency_key=other").json["data"] == []
    client.delete(f"/v1/jobs/{made}")
    assert client.get("/v1/jobs", query_string={"idempotency_key": "my:key"}).json["data"] == []


@pytest.mark.parametrize("query", ["status=queued&status=failed", "limit=1&limit=2", "limit=&limit=1&limit=x"])
def test_a_field_of_a_query_that_is_given_twice_is_refused_and_not_half_ignored(client, query):
    assert_problem(client.get(f"/v1/jobs?{query}"), 422, field=query.partition("=")[0])
