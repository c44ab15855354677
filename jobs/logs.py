"""Logs of all processes: one form, as text or as JSON, with the job in every line that is about one.

`VOXQUEUE_LOG_FORMAT=json` gives an object a line: `time`, `level`, `program`, `logger`, `thread`, `job`, `message`, and
`exception` where there is one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from jobs.settings import Settings

TASK_SUFFIXES = (".plan", ".assemble", ".webhook")
_job: ContextVar[str] = ContextVar("job", default="")


@contextlib.contextmanager
def about(job_id: str) -> Iterator[None]:
    """Let the lines that this thread (or greenlet) logs meanwhile be about a job."""
    token = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(token)


def now_about(job_id: str) -> None:
    """Let what this thread (or greenlet) logs from now on be about a job; empty: about none."""
    _job.set(job_id)


def job_of(record: logging.LogRecord) -> str:
    """Return the job that a line is about, empty for none: the thread's, or that of a line of Celery's."""
    if (job_id := _job.get()) or not isinstance(record.args, Mapping):
        return job_id
    task_id = str(record.args.get("id", ""))
    for suffix in TASK_SUFFIXES:
        task_id = task_id.removesuffix(suffix)
    return task_id


class TextFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(threadName)s]%(about)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        job_id = job_of(record)
        record.about = f" job={job_id}" if job_id else ""
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """A line for programs."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        moment = dt.datetime.fromtimestamp(record.created, tz=dt.UTC)
        line: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "program": program(),
            "logger": record.name,
            "thread": record.threadName,
            "job": job_of(record),
            "message": record.getMessage(),
            "exception": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in line.items() if value}, ensure_ascii=False, default=str)


def program() -> str:
    """Return what the Procfile calls this process."""
    kind = os.environ.get("VOXQUEUE_WORKER_KIND")
    return f"worker_{kind}" if kind else "web"


def formatter(form: str) -> logging.Formatter:
    """Return the formatter of `VOXQUEUE_LOG_FORMAT`."""
    return JsonFormatter() if form == "json" else TextFormatter()


def log_plainly(settings: Settings) -> None:
    """Send everything that this process logs to standard error, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(settings.log_format))
    root = logging.getLogger()
    for other in root.handlers[:]:
        root.removeHandler(other)
    root.addHandler(handler)
    root.setLevel(settings.log_level)


def for_gunicorn(settings: Settings) -> dict[str, Any]:
    """Return the logging configuration of gunicorn and of what it runs."""
    level = settings.log_level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": "jobs.logs.formatter", "form": settings.log_format}},
        "handlers": {"ours": {"class": "logging.StreamHandler", "formatter": "ours", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["ours"]},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": ["ours"], "propagate": False},
            "gunicorn.access": {"level": "WARNING", "handlers": ["ours"], "propagate": False},
        },
    }
