"""A worker that cannot start ends; it does not take jobs with half of itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.ledger import PREFIX

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_worker_ends_with_the_reason_if_the_ledger_is_of_another_version(redis, redis_url, tmp_path):
    redis.set(PREFIX + "schema", 99)
    environment = {
        **os.environ,
        "VOXQUEUE_WORKER_KIND": "cpu",
        "VOXQUEUE_REDIS_URL": redis_url,
        "VOXQUEUE_DATA_DIR": str(tmp_path),
        "VOXQUEUE_LOG_FORMAT": "json",
    }
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "--pool=threads"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "schema version 99" in ended.stderr
    assert '"level": "critical"' in ended.stderr
