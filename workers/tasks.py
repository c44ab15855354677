"""The Celery tasks. Each only hands its delivery to the process: what a job's life is, `runner` says."""

from __future__ import annotations

from typing import Any

from celery import Celery

from jobs import tracing
from jobs.logs import about
from workers.process import WorkerProcess
from workers.session import JobFailed

OLDER = -1
"""The number in a webhook's message of an older version, which had none: that of no call. It is soon sent anew."""


def register_tasks(app: Celery, process: WorkerProcess) -> None:
    """Register the tasks that this process can do."""
    for name in process.handlers:
        app.task(_task(process, name), name=name, throws=(JobFailed,))
    if process.kind == "cpu":
        app.task(_webhook(process), name="webhook")


def _task(process: WorkerProcess, name: str) -> Any:
    def run(job_id: str, sequence: int) -> str:
        return process.run(name, job_id, sequence)

    return run


def _webhook(process: WorkerProcess) -> Any:
    def call(job_id: str, number: int = OLDER) -> str:
        answers = []
        for due, its_number in process.webhooks.calls_to_make(job_id, number):
            with about(due), tracing.running(due, "webhook"):
                made = process.webhooks.call(due, its_number)
            answers.append(f"{made.status or made.error}" if made else "nothing to do")
            if process.leases.draining:
                break
        return ", ".join(answers) or "left to others"

    return call
