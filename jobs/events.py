"""Waiting for a job to change without asking again and again.

One subscriber thread per process listens to the ledger's announcements (a job's ID each) and wakes those who wait for
that job. They read the newest record themselves, so a missed announcement costs delay, never truth.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Self

from redis import RedisError

from jobs.connect import RedisClient
from jobs.errors import NotFound
from jobs.ledger import PREFIX
from jobs.queries import Queries
from jobs.record import Job

log = logging.getLogger(__name__)
RECHECK_SECONDS = 10
"""How often a waiter looks by itself: announcements are lost while Redis is away."""


class Announcements:
    """Wakes waiters by job ID. Thread-safe (and greenlet-safe under gevent); start it once per process."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        self._waiters: dict[str, set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to listen; a second call does nothing."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="announcements", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop listening; all waiters wake."""
        self._stop.set()
        self._wake_all()

    def _listen(self) -> None:
        pause = 0.1
        while not self._stop.is_set():
            try:
                with self._redis.pubsub() as subscription:
                    subscription.subscribe(PREFIX + "events")
                    while not self._stop.is_set():
                        message = subscription.get_message(timeout=1)
                        if message and message["type"] == "subscribe":
                            # The first time, and after redis-py has connected anew by itself: whatever was announced
                            # while nobody listened.
                            pause = 0.1
                            self._wake_all()
                        elif message:
                            self._wake(message["data"])
            except (RedisError, OSError) as error:
                log.warning("announcements: %s; listening again in %.1f s", error, pause)
                self._stop.wait(pause)
                pause = min(pause * 2, 5)

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for event in self._waiters.get(job_id, ()):
                event.set()

    def _wake_all(self) -> None:
        with self._lock:
            for events in self._waiters.values():
                for event in events:
                    event.set()

    def watch(self, job_id: str) -> Watch:
        """Return a context manager to wait for changes of a job."""
        return Watch(self, job_id)

    def _enter(self, job_id: str, event: threading.Event) -> None:
        with self._lock:
            self._waiters[job_id].add(event)

    def _leave(self, job_id: str, event: threading.Event) -> None:
        with self._lock:
            self._waiters[job_id].discard(event)
            if not self._waiters[job_id]:
                del self._waiters[job_id]


class Watch:
    """One waiter for one job; enter it before reading the record, so that no change slips between."""

    def __init__(self, announcements: Announcements, job_id: str) -> None:
        self._announcements = announcements
        self._job_id = job_id
        self._event = threading.Event()

    def __enter__(self) -> Self:
        """Begin to notice changes."""
        self._announcements._enter(self._job_id, self._event)  # noqa: SLF001 - the two are one mechanism
        return self

    def __exit__(self, *_: object) -> None:
        """Stop noticing."""
        self._announcements._leave(self._job_id, self._event)  # noqa: SLF001 - as above

    def wait(self, seconds: float) -> bool:
        """Wait for an announcement since the last call; False after `seconds` without one."""
        woken = self._event.wait(seconds)
        self._event.clear()
        return woken


def wait_until_terminal(
    queries: Queries, announcements: Announcements, job_id: str, seconds: float, owner: str | None = None
) -> Job:
    """Return the job as soon as it has ended, or as it is after `seconds`. Raises `NotFound`."""
    end = time.monotonic() + seconds
    with announcements.watch(job_id) as watch:
        while True:
            job = queries.get(job_id, owner)
            left = end - time.monotonic()
            if job.status.is_terminal or left <= 0:
                return job
            watch.wait(min(left, RECHECK_SECONDS))


def follow(
    queries: Queries,
    announcements: Announcements,
    job_id: str,
    *,
    owner: str | None = None,
    version: int = -1,
    interval: float = 0.1,
    recheck: float = RECHECK_SECONDS,
) -> Iterator[Job | None]:
    """Yield the job at once unless it is at `version`, then at each change, until it has ended or is deleted.

    At most one in `interval` seconds (states between are skipped, the last one never); None after
    `recheck` quiet seconds, for a keep-alive. Raises `NotFound` at the first step only.
    """
    started = False
    with announcements.watch(job_id) as watch:
        while True:
            try:
                job = queries.get(job_id, owner)
            except NotFound:
                if started:
                    return
                raise
            started = True
            if job.version != version:
                version = job.version
                yield job
                if job.status.is_terminal:
                    return
                time.sleep(interval)
            elif job.status.is_terminal:
                return
            elif not watch.wait(recheck):
                yield None
