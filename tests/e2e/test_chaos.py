"""A small chaos: sixty jobs while workers, the web process and Valkey are killed and a worker is frozen."""

import os
from unittest import mock

import pytest

from bench.chaos import Plan, run, table

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.mark.timeout(900)
def test_sixty_jobs_survive_ten_kills_a_dead_web_process_a_dead_valkey_and_a_frozen_worker(tmp_path):
    plan = Plan(jobs=60, kills=10, web=1, valkey=1, stops=1, seed=20261121, pause=(0.5, 2.5))
    outer = {name: value for name, value in os.environ.items() if not name.startswith("VOXQUEUE_")}
    with mock.patch.dict(os.environ, outer, clear=True):
        findings, happened, seconds = run(plan, data_dir=tmp_path)
    report = table(findings, happened, seconds, plan)
    assert findings.clean, f"{report}\n{findings}"
    assert findings.error_rate <= 0.05
