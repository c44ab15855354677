"""What the processes of a stack log."""

import re

import pytest

from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_workers_say_at_their_start_what_they_run_on_and_name_the_job_in_every_line_about_it(stack, client):
    job_id = submit_tts(client, "今天天气很好。")
    assert finish(client, job_id)["status"] == "succeeded"
    lines = stack.log("worker_tts", 2000).splitlines()
    assert any(re.search(r"is ready: device=cpu, .*load_seconds=", line) for line in lines), lines[:20]
    own = [line for line in lines if job_id in line]
    assert own
    assert all(f" job={job_id} " in line for line in own)
    assert "web is ready: Redis at 127.0.0.1" in stack.log("web", 2000)
