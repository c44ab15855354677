"""What a line of a log looks like, and that it names the job that it is about."""

import json
import logging
import threading

import pytest

from jobs.logs import JsonFormatter, TextFormatter, about


@pytest.fixture
def line():
    """Format a line as a process would log it."""

    def make(formatter, message="is %s", args=("here",), exc_info=None):
        record = logging.LogRecord("workers.runner", logging.WARNING, "f.py", 1, message, args, exc_info)
        return formatter.format(record)

    return make


def test_a_line_of_json_has_everything(line, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_WORKER_KIND", "tts")
    with about("01job"):
        found = json.loads(line(JsonFormatter()))
    assert found.pop("time").endswith("Z")
    assert found == {
        "level": "warning",
        "program": "worker_tts",
        "logger": "workers.runner",
        "thread": threading.current_thread().name,
        "job": "01job",
        "message": "is here",
    }
    assert "job" not in json.loads(line(JsonFormatter()))


def test_an_exception_stays_in_its_line(line):
    try:
        raise ValueError("多\n行")  # noqa: TRY301 - the trace is wanted
    except ValueError as error:
        text = line(JsonFormatter(), exc_info=(type(error), error, error.__traceback__))
    assert "\n" not in text
    assert "ValueError: 多" in json.loads(text)["exception"]


def test_threads_do_not_mix_up_their_jobs(line):
    found = {}

    def work(job_id, other):
        with about(job_id):
            other.wait(10)
            found[job_id] = line(TextFormatter())

    together = threading.Barrier(2)
    threads = [threading.Thread(target=work, args=(job_id, together)) for job_id in ("01a", "01b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert all(f" job={job_id} is here" in text for job_id, text in found.items())


def test_celerys_own_lines_name_the_job_of_their_task(line):
    args = ({"name": "plan", "id": "01job.plan", "runtime": 1.0},)
    found = json.loads(line(JsonFormatter(), "Task %(name)s[%(id)s] succeeded", args))
    assert found["job"] == "01job"
