"""`GET /metrics`, read by Prometheus' own parser."""

import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry

from app.metrics import FAMILIES, JOB_SECONDS, ROWS, UNIT_SECONDS, LedgerCollector, table
from jobs.figures import Figures
from jobs.ledger import NewJob
from jobs.record import Output
from jobs.registry import Registry
from jobs.states import Kind, Phase
from workers.stats import ROW_BOUNDS, WAIT_BOUNDS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def figures(client):
    """Scrape; gives every sample by name and labels."""

    def scrape():
        answer = client.get("/metrics")
        assert answer.status_code == 200
        return {
            (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    return scrape


def test_jobs_are_counted_by_kind_and_state_and_for_good(figures, submit, hand, client):
    submit()
    done = submit("四个字。")
    hand.succeed(done, duration_seconds=2.5)
    hand.fail(submit())
    canceled = submit()
    client.post(f"/v1/jobs/{canceled}/cancel")
    client.delete(f"/v1/jobs/{done}")
    found = figures()
    assert found["voxqueue_jobs", "kind=tts", "status=queued"] == 1
    assert found["voxqueue_jobs", "kind=tts", "status=succeeded"] == 0, "it was deleted"
    assert found["voxqueue_jobs_ended_total", "kind=tts", "status=succeeded"] == 1, "it was done all the same"
    assert found["voxqueue_jobs_ended_total", "kind=tts", "status=canceled"] == 1
    assert found["voxqueue_job_errors_total", "code=no_audio_stream", "kind=tts"] == 1
    assert found["voxqueue_job_wait_seconds_count", "kind=tts"] == 3
    assert found["voxqueue_job_run_seconds_count", "kind=tts"] == 2, "the canceled one never ran"
    assert found["voxqueue_audio_seconds_total", "kind=tts"] == 2.5
    assert found["voxqueue_characters_total", "kind=tts"] == 4
    assert found["voxqueue_queue_jobs", "queue=tts", "step=4"] == 1


def test_a_retried_failure_is_counted_each_time(figures, submit, hand, client):
    job_id = submit()
    hand.fail(job_id)
    client.post(f"/v1/jobs/{job_id}/retry")
    hand.fail(job_id)
    assert figures()["voxqueue_job_errors_total", "code=no_audio_stream", "kind=tts"] == 2


def test_the_backlog_is_what_waits_times_the_measured_rate(figures, submit, hand, services):
    submit("字" * 1000)
    assert figures()["voxqueue_queue_backlog_seconds", "queue=tts"] == pytest.approx(1000 * 0.02)
    hand.succeed(submit("字" * 500), duration_seconds=100.0)
    Figures(services.redis).add("tts", {"busy": 5.0})
    found = figures()
    assert found["voxqueue_open_characters",] == 1000
    assert found["voxqueue_queue_backlog_seconds", "queue=tts"] == pytest.approx(1000 * 5 / 500)
    assert found["voxqueue_realtime_factor", "queue=tts"] == pytest.approx(0.05)


def test_engines_figures_add_up_over_workers_and_their_restarts(figures, services):
    for _ in range(2):
        sums = {"units": 6, "batches": 2, "cost": 100, "padding": 25, "rows:2": 1, "rows:4": 1, "rows_sum": 6.0}
        Figures(services.redis).add("tts", {**sums, "loads": 1, "loading": 1.5, "recovered": 3})
    found = figures()
    assert found["voxqueue_units_total", "queue=tts"] == 12
    assert found["voxqueue_batch_units_bucket", "le=2", "queue=tts"] == 2
    assert found["voxqueue_batch_units_bucket", "le=+Inf", "queue=tts"] == 4
    assert found["voxqueue_batch_units_sum", "queue=tts"] == 12
    assert found["voxqueue_batch_padding_total", "queue=tts"] / found["voxqueue_batch_cost_total", "queue=tts"] == 0.25
    assert found["voxqueue_model_loads_total", "queue=tts"] == 2
    assert found["voxqueue_recoveries_total",] == 6


def test_workers_tell_of_themselves_and_of_their_gpu(figures, registry):
    report = {"name": "tts@host", "kind": "tts", "device": "cuda", "engine": "tensorrt", "units": 12}
    registry.publish_worker("tts@host", {**report, "gpu_memory_used_bytes": 5, "gpu_utilization_ratio": 0.5})
    registry.publish_worker("cpu@host", {"name": "cpu@host", "kind": "cpu", "device": "cpu"})
    found = figures()
    assert found["voxqueue_worker_up", "device=cuda", "engine=tensorrt", "kind=tts", "worker=tts@host"] == 1
    assert found["voxqueue_worker_units_total", "kind=tts", "worker=tts@host"] == 12
    assert found["voxqueue_gpu_utilization_ratio", "kind=tts", "worker=tts@host"] == 0.5
    assert ("voxqueue_gpu_utilization_ratio", "kind=cpu", "worker=cpu@host") not in found


def test_holds_are_shown_with_what_they_keep(figures, submit, services, hand):
    services.ledger.hold("kind:tts")
    job_id = submit()
    services.ledger.claim(job_id, int(services.redis.hget(f"vq:job:{job_id}", "token")), "hand")
    assert figures()["voxqueue_held_jobs", "what=kind:tts"] == 1


def test_without_redis_there_is_one_figure_that_says_so(app_of):
    from tests.conftest import free_port

    text = app_of(redis_url=f"redis://127.0.0.1:{free_port()}/0").test_client().get("/metrics").text
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["voxqueue_redis_up 0.0"]


def calls(redis):
    return {name: stats["calls"] for name, stats in redis.info("commandstats").items()}


def cost_of_a_scrape(redis):
    collector = LedgerCollector(Registry(redis), redis)
    before = calls(redis)
    list(collector.collect())
    after = calls(redis)
    found = {name.removeprefix("cmdstat_"): after[name] - before.get(name, 0) for name in after}
    return {name: count for name, count in found.items() if count and name not in {"info", "hello", "select"}}


@pytest.mark.slow
def test_a_scrape_costs_the_same_with_ten_thousand_jobs(redis, services, submit, hand):
    list(LedgerCollector(Registry(redis), redis).collect())  # the connection is there
    alone = cost_of_a_scrape(redis)
    parent = submit()
    hand.claim(parent)
    spec = json.dumps({"text": "a"})
    for portion in range(50):
        numbers = range(200 * portion, 200 * (portion + 1))
        children = [
            NewJob(f"{parent}.{n}", Kind.TTS, "tts", 4, "", spec=spec, parent=parent, index=n, phase=Phase.NONE)
            for n in numbers
        ]
        services.ledger.submit_many(children)
    for n in range(1000):
        hand.ledger.succeed(hand.claim(f"{parent}.{n}"), Output(duration_seconds=1.0))
    crowded = cost_of_a_scrape(redis)
    assert not {"scan", "keys", "lrange", "zscan", "hscan"} & set(crowded)
    assert crowded == alone
    assert sum(alone.values()) < 150


def test_names_follow_the_conventions_and_the_table_shows_them_all():
    for family in FAMILIES:
        assert re.fullmatch(r"voxqueue_[a-z_]+", family.name), family
        assert not family.name.endswith(("_total", "_ms", "_milliseconds", "_percent")), family
    names = [family.full_name for family in FAMILIES]
    assert len(set(names)) == len(names)
    text = (ROOT / "docs/metrics.md").read_text("utf-8")
    shown = text.partition("<!-- metrics -->")[2].partition("<!-- /metrics -->")[0]
    assert shown.strip() == table(), "put the output of `python -m app.metrics` between the marks in docs/metrics.md"


def test_every_family_of_the_table_is_in_a_scrape_and_no_other(redis):
    registry = CollectorRegistry()
    registry.register(LedgerCollector(Registry(redis), redis))
    assert {family.name for family in registry.collect()} == {family.name for family in FAMILIES}


def test_the_bounds_of_histograms_are_those_of_the_rooms_that_count():
    assert UNIT_SECONDS == WAIT_BOUNDS
    assert ROWS == ROW_BOUNDS
    [listed] = re.findall(r"^local SECONDS = \{ (.*) \}$", (ROOT / "jobs/ledger.lua").read_text("utf-8"), re.MULTILINE)
    assert tuple(float(bound) for bound in listed.split(", ")) == JOB_SECONDS
