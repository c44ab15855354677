"""What the processes of a stack log."""

import re
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

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


def test_what_real_workers_do_arrives_in_the_figures(stack, client):
    job = finish(client, submit_tts(client, "今天天气很好。我们去公园。"))
    end = time.monotonic() + 60  # a report comes every two seconds
    while True:
        samples = {
            (sample.name, sample.labels.get("queue") or sample.labels.get("kind")): sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
            if "le" not in sample.labels
        }
        if samples["voxqueue_units_total", "tts"] >= 2:
            break
        assert time.monotonic() < end, samples
        time.sleep(0.2)
    assert samples["voxqueue_batch_units_sum", "tts"] == samples["voxqueue_units_total", "tts"]
    assert samples["voxqueue_engine_busy_seconds_total", "tts"] > 0
    assert samples["voxqueue_model_loads_total", "tts"] >= 1
    assert samples["voxqueue_audio_seconds_total", "tts"] >= job["output"]["duration_seconds"]
    assert samples["voxqueue_realtime_factor", "tts"] > 0
    assert samples["voxqueue_worker_up", "tts"] == 1
