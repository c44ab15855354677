"""The job of the HTTP contract: every field, its unit and its form."""

import json
import re
import time

import pytest

from jobs.record import Blob, Output, Warn, rfc3339
from jobs.states import Kind, Phase, Status
from jobs.view import job_view, job_views

ALWAYS = {
    "id", "kind", "status", "progress", "created_at", "started_at", "finished_at", "expires_at", "attempt", "input",
    "metadata", "output", "error", "metrics", "links",
}  # fmt: skip
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def view(desk, job_id, **options):
    shown = job_view(desk.job(job_id), desk.queries, **options)
    json.dumps(shown)  # nothing but JSON
    return shown


def test_a_queued_job(desk):
    job_id = desk.submit(spec=json.dumps({"text": "你好", "voice": None, "speed": 1.0, "metadata": {}}))
    shown = view(desk, job_id)
    assert set(shown) == ALWAYS | {"queue_position"}
    assert (shown["id"], shown["kind"], shown["status"]) == (job_id, "tts", "queued")
    assert TIME.fullmatch(shown["created_at"])
    assert shown["started_at"] is shown["finished_at"] is shown["expires_at"] is None
    assert shown["output"] is shown["error"] is None
    assert shown["input"] == {"text": "你好", "speed": 1.0}
    assert shown["queue_position"] == 0
    assert shown["links"] == {
        "self": f"/v1/jobs/{job_id}",
        "events": f"/v1/jobs/{job_id}/events",
        "cancel": f"/v1/jobs/{job_id}/cancel",
        "stream": f"/v1/jobs/{job_id}/stream",
    }


def test_a_succeeded_job(desk, redis):
    claim = desk.start(total=2, unit="sentence", metadata={"k": "v"})
    redis.hincrby(f"vq:job:{claim.id}", "created", -4000)  # 1 s in the queue, 3 s of work
    redis.hincrby(f"vq:job:{claim.id}", "begun", -3000)
    desk.succeed(
        claim,
        Output(
            files=(Blob("0" * 64, 44, "a b.wav", "audio/wav"),),
            duration_seconds=6.0,
            warnings=(Warn("skipped", "nothing to speak", 2),),
            extra={"reused": 1},
        ),
    )
    shown = view(desk, claim.id)
    assert set(shown) == ALWAYS
    assert shown["progress"] == {"done": 2, "total": 2, "unit": "sentence"}
    assert all(TIME.fullmatch(shown[name]) for name in ("started_at", "finished_at", "expires_at"))
    assert shown["output"] == {
        "duration_seconds": 6.0,
        "files": [
            {
                "name": "a b.wav",
                "media_type": "audio/wav",
                "bytes": 44,
                "url": f"/v1/jobs/{claim.id}/files/a%20b.wav",
            }
        ],
        "warnings": [{"code": "skipped", "detail": "nothing to speak", "at": 2}],
        "reused": 1,
    }
    metrics = shown["metrics"]
    assert 3.0 <= metrics["running_seconds"] < 30
    assert 1.0 <= metrics["queued_seconds"] < 30
    assert metrics["audio_seconds"] == 6.0
    assert metrics["realtime_factor"] == pytest.approx(metrics["running_seconds"] / 6.0, abs=1e-4)
    assert "cancel" not in shown["links"]
    assert "retry" not in shown["links"]
    assert shown["metadata"] == {"k": "v"}


def test_a_failed_job_says_why_and_can_be_retried(desk):
    claim = desk.start()
    desk.fail(claim)
    shown = view(desk, claim.id)
    assert shown["error"] == {"type": "bad", "title": "Bad", "detail": "it went wrong"}
    assert shown["links"]["retry"] == f"/v1/jobs/{claim.id}/retry"
    assert shown["metrics"]["realtime_factor"] is None


def test_a_running_jobs_time_goes_on(desk):
    claim = desk.start()
    now = time.time()
    first, later = (view(desk, claim.id, now=now + seconds)["metrics"]["running_seconds"] for seconds in (1, 4))
    assert later - first == pytest.approx(3, abs=0.01)


def test_a_day_between_failure_and_retry_is_not_waiting(desk, redis):
    claim = desk.start()
    desk.fail(claim)
    for field in ("created", "started", "finished"):
        redis.hincrby(f"vq:job:{claim.id}", field, -86_400_000)
    desk.retry(claim.id)
    assert view(desk, claim.id)["metrics"]["queued_seconds"] < 60


def test_a_parent_and_a_child(desk):
    parent, [child, _] = desk.parent(2)
    desk.succeed(desk.claim(child))
    shown = view(desk, parent)
    assert set(shown) == ALWAYS | {"children"}
    assert shown["children"] == {"total": 2, "queued": 1, "running": 0, "succeeded": 1, "failed": 0, "canceled": 0}
    assert shown["links"]["children"] == f"/v1/jobs?parent={parent}"
    assert view(desk, child)["parent"] == parent


def test_a_child_can_be_retried_by_itself_only_while_its_parent_waits(desk):
    parent, [one, other] = desk.parent(2)
    desk.fail(desk.claim(one))
    assert view(desk, one)["links"]["retry"] == f"/v1/jobs/{one}/retry"
    desk.fail(desk.claim(other))
    assert desk.job(parent).phase is Phase.ASSEMBLING
    assert "retry" not in view(desk, one)["links"]
    desk.fail(desk.claim(parent))
    assert "retry" not in view(desk, one)["links"]
    assert view(desk, parent)["links"]["retry"] == f"/v1/jobs/{parent}/retry"
    desk.retry(parent)
    desk.fail(desk.claim(one))
    assert "retry" in view(desk, one)["links"]
    desk.ledger.delete(parent)
    assert "retry" not in view(desk, one)["links"]


def test_the_parent_of_a_whole_list_is_looked_at_once(desk, redis):
    _, chapters = desk.parent(5)
    for chapter in chapters[1:]:
        desk.fail(desk.claim(chapter))
    jobs = desk.queries.get_many(chapters)
    redis.config_resetstat()
    shown = job_views(jobs, desk.queries)
    assert redis.info("commandstats")["cmdstat_hgetall"]["calls"] == 1
    assert ["retry" in job["links"] for job in shown] == [False, True, True, True, True]


def test_a_long_text_is_cut_in_the_input(desk):
    shown = view(desk, desk.submit(spec=json.dumps({"text": "长" * 5000})))["input"]
    assert shown == {"text": "长" * 1000, "text_truncated": True}


def test_uploaded_files_are_named(desk):
    job_id = desk.submit(kind=Kind.STT, queue="stt", inputs=[Blob("0" * 64, 7, "a.mp3", "audio/mpeg")])
    assert view(desk, job_id)["input"]["files"] == [{"name": "a.mp3", "bytes": 7}]


def test_without_queries_nothing_is_asked(desk):
    shown = job_view(desk.job(desk.submit()))
    assert set(shown) == ALWAYS


def test_times():
    assert rfc3339(0.5) == "1970-01-01T00:00:00.500Z"
    assert rfc3339(None) is None


def test_every_status_has_a_view(desk):
    seen = set()
    for end in ("succeed", "fail", "give_up"):
        claim = desk.start()
        getattr(desk, end)(claim)
        seen.add(view(desk, claim.id)["status"])
    assert seen == {Status.SUCCEEDED, Status.FAILED, Status.CANCELED}
