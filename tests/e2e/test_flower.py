"""Flower shows every job under its own ID, keeps what it has seen, and asks for a password."""

import time

import httpx
import pytest

from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PATIENCE = 30


def seen(flower, task_id, state):
    """Return what Flower knows of a task as soon as it has reached a state."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = flower.get(f"/api/task/info/{task_id}")
        if answer.status_code == 200 and answer.json()["state"] == state:
            return answer.json()
        time.sleep(0.2)
    raise AssertionError(f"Flower never saw {task_id} as {state}: {answer.status_code} {answer.text[:300]}")


def test_a_job_is_a_task_under_its_own_id_with_its_times(client, flower):
    job = finish(client, submit_tts(client, "上海的夏天很暖和。"))
    task = seen(flower, job["id"], "SUCCESS")
    assert task["name"] == "tts"
    assert task["received"] <= task["started"] <= task["succeeded"]
    assert task["worker"].startswith("tts-cpu@")


def test_a_failed_job_is_a_failed_task_with_the_reason(client, flower):
    job = finish(client, submit_tts(client, "😀😀"))
    assert job["status"] == "failed"
    assert job["error"]["detail"] in seen(flower, job["id"], "FAILURE")["exception"]


def test_a_book_is_seen_with_its_plan_its_chapters_and_its_assembling(client, flower):
    body = {
        "title": "书",
        "chapters": [{"title": "一", "text": "今天天气很好。"}, {"title": "二", "text": "明天下雨。"}],
    }
    job = finish(client, client.post("/v1/audiobooks", json=body).json()["id"])
    chapters = client.get("/v1/jobs", params={"parent": job["id"]}).json()["data"]
    names = {f"{job['id']}.plan": "plan", f"{job['id']}.assemble": "assemble"} | {one["id"]: "tts" for one in chapters}
    assert len(names) == 4
    assert {task_id: seen(flower, task_id, "SUCCESS")["name"] for task_id in names} == names


def test_the_page_and_the_api_want_a_password(stack):
    for path in ("/", "/tasks", "/api/tasks"):
        assert httpx.get(f"{stack.flower_url}{path}").status_code == 401


def test_the_history_survives_a_restart(stack, client, flower):
    job = finish(client, submit_tts(client, "上海的夏天很暖和。"))
    seen(flower, job["id"], "SUCCESS")
    stack.restart("flower")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            flower.get("/healthcheck")
            break
        except httpx.HTTPError:
            time.sleep(0.2)
    assert seen(flower, job["id"], "SUCCESS")["name"] == "tts"
