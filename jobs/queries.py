"""Reading the ledger: one job, pages of jobs, positions, counts. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.connect import RedisClient
from jobs.errors import NotFound
from jobs.ledger import PREFIX
from jobs.record import Job
from jobs.states import Kind, Status

MAX_PAGE = 200
CHILD_STATES = (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELED)


def _list_key(owner: str | None, kind: Kind | None, status: Status | None) -> str:
    return f"{PREFIX}list:{'*' if owner is None else owner}:{kind or '*'}:{status or '*'}"


@dataclass(frozen=True)
class Page:
    """A page of jobs; `next` is the `after` of the next one."""

    jobs: list[Job]
    next: str | None


class Queries:
    """Reads of one Redis database. `owner` None sees everything."""

    def __init__(self, redis: RedisClient) -> None:
        self.redis = redis

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """Return a job. Raises `NotFound`, also for another owner's."""
        raw = self.redis.hgetall(f"{PREFIX}job:{job_id}")
        if not raw or "number" not in raw or (owner is not None and raw["owner"] != owner):
            raise NotFound("job_not_found", f"there is no job {job_id}")
        return Job.parse(raw)

    def submitted_with(self, idempotency_key: str, owner: str) -> Job | None:
        """Return the job that an owner has submitted with a key, None if there is none any more."""
        job_id = self.redis.hget(f"{PREFIX}idem:{len(owner.encode())}:{owner}:{idempotency_key}", "id")
        found = self.get_many([job_id]) if job_id else []
        return found[0] if found else None

    def get_many(self, ids: list[str]) -> list[Job]:
        """Return the jobs that exist, in the order of `ids`."""
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hgetall(f"{PREFIX}job:{job_id}")
            return [Job.parse(raw) for raw in pipe.execute() if raw]

    def page(
        self,
        *,
        owner: str | None = None,
        kind: Kind | None = None,
        status: Status | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return jobs without a parent, newest first. Raises `NotFound` if `after` is not in the list any more."""
        start = "+inf"
        if after is not None:
            number, whose = self.redis.hmget(f"{PREFIX}job:{after}", "number", "owner")
            if number is None or owner not in {None, whose}:
                raise NotFound("cursor_gone", f"after: job {after} does not exist any more; begin the list anew")
            start = f"({number}"
        key = _list_key(owner, kind, status)
        ids = self.redis.zrevrangebyscore(key, start, "-inf", start=0, num=limit + 1)
        return self._page(ids, limit)

    def children(self, parent: str, *, status: Status | None = None, after: str | None = None, limit: int = 50) -> Page:
        """Return a parent's children in the order of their index. Raises `NotFound` if `after` is none of them."""
        key = f"{PREFIX}children:{parent}:{status or '*'}"
        start = "-inf"
        if after is not None:
            index = self.redis.zscore(f"{PREFIX}children:{parent}:*", after)
            if index is None:
                raise NotFound("cursor_gone", f"after: job {after} is no child of {parent}; begin the list anew")
            start = f"({int(index)}"
        ids = self.redis.zrangebyscore(key, start, "+inf", start=0, num=limit + 1)
        return self._page(ids, limit)

    def _page(self, ids: list[str], limit: int) -> Page:
        jobs = self.get_many(ids[:limit])
        return Page(jobs, ids[limit - 1] if len(ids) > limit else None)

    def count_children(self, parent: str) -> dict[str, int]:
        """Return `{total, queued, running, succeeded, failed, canceled}` without looking at the children."""
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.zcard(f"{PREFIX}children:{parent}:*")
            for status in CHILD_STATES:
                pipe.zcard(f"{PREFIX}children:{parent}:{status}")
            total, *counts = pipe.execute()
        return {"total": total, **dict(zip(map(str, CHILD_STATES), counts, strict=True))}

    def without_record(self, ids: list[str]) -> list[str]:
        """Return those IDs of which there is neither a job nor a kept result."""
        with self.redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.exists(f"{PREFIX}job:{job_id}", f"{PREFIX}kept:{job_id}")
            return [job_id for job_id, found in zip(ids, pipe.execute(), strict=True) if not found]

    def queue_position(self, job: Job) -> int | None:
        """Return how many deliveries go before this one (0: the next), None if it does not wait."""
        if not job.sequence:
            return None
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.zrank(f"{PREFIX}waiting:{job.queue}:{job.step}", job.id)
            for step in range(job.step):
                pipe.zcard(f"{PREFIX}waiting:{job.queue}:{step}")
            rank, *before = pipe.execute()
        return None if rank is None else int(rank) + sum(before)

    def waiting(self, queue: str) -> dict[int, int]:
        """Return how many deliveries wait in a queue, by step."""
        with self.redis.pipeline(transaction=False) as pipe:
            for step in range(10):
                pipe.zcard(f"{PREFIX}waiting:{queue}:{step}")
            return {step: count for step, count in enumerate(pipe.execute()) if count}

    def count(self, *, owner: str | None = None, kind: Kind | None = None, status: Status | None = None) -> int:
        """Return how many jobs without a parent there are."""
        return int(self.redis.zcard(_list_key(owner, kind, status)))
