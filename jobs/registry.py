"""What workers publish about themselves: who is alive, and which voices and models they have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from jobs.connect import RedisClient
from jobs.ledger import PREFIX

ALIVE_SECONDS = 20
"""A worker that has not published for so long is not listed any more."""

FORGOTTEN_SECONDS = 24 * 3600
"""A process that nobody can look at (its host or container is gone) is forgotten then; its leases ran out long ago."""


class Registry:
    """Workers' reports (they fade) and catalogues of voices and models (they outlive their workers)."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def _now(self) -> int:
        """Return the time of Redis: a host whose clock is ahead would take everybody else for gone."""
        return int(self._redis.time()[0])

    def publish_worker(self, name: str, report: dict[str, Any]) -> None:
        """Say that a worker is alive, and what it is and does."""
        now = self._now()
        with self._redis.pipeline() as pipe:
            pipe.set(f"{PREFIX}worker:{name}", json.dumps(report), ex=ALIVE_SECONDS)
            pipe.zadd(f"{PREFIX}workers", {name: now})
            pipe.zremrangebyscore(f"{PREFIX}workers", "-inf", now - 10 * ALIVE_SECONDS)
            pipe.execute()

    def withdraw_worker(self, name: str) -> None:
        """Take a worker from the list: it ends in order."""
        self._redis.delete(f"{PREFIX}worker:{name}")
        self._redis.zrem(f"{PREFIX}workers", name)

    def workers(self) -> list[dict[str, Any]]:
        """Return the reports of live workers, by name."""
        names = self._redis.zrange(f"{PREFIX}workers", 0, -1)
        if not names:
            return []
        raw = self._redis.mget([f"{PREFIX}worker:{name}" for name in names])
        found = [json.loads(report) for report in raw if report]
        return sorted(found, key=lambda report: str(report["name"]))

    def enter_process(self, identity: str) -> None:
        """Note that a process may hold claims under this identity; repeat it from time to time."""
        now = self._now()
        with self._redis.pipeline() as pipe:
            pipe.zadd(f"{PREFIX}processes", {identity: now})
            pipe.zremrangebyscore(f"{PREFIX}processes", "-inf", now - FORGOTTEN_SECONDS)
            pipe.execute()

    def leave_process(self, identity: str) -> None:
        """Note that a process holds no claims any more."""
        self._redis.zrem(f"{PREFIX}processes", identity)

    def processes(self) -> set[str]:
        """Return the identities that may hold claims."""
        return set(self._redis.zrange(f"{PREFIX}processes", 0, -1))

    def publish(self, catalogue: str, entries: dict[str, dict[str, Any]]) -> None:
        """Add entries to `voices` or `models`."""
        if entries:
            self._redis.hset(
                f"{PREFIX}{catalogue}", mapping={name: json.dumps(entry) for name, entry in entries.items()}
            )

    def catalogue(self, catalogue: str) -> dict[str, dict[str, Any]]:
        """Return the entries of `voices` or `models`."""
        raw = self._redis.hgetall(f"{PREFIX}{catalogue}")
        return {name: json.loads(entry) for name, entry in sorted(raw.items())}

    def forget(self, catalogue: str, names: Sequence[str]) -> None:
        """Remove entries."""
        if names:
            self._redis.hdel(f"{PREFIX}{catalogue}", *names)
