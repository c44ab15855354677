"""What operators hold, and what waits because of it or anyway."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from jobs.connect import RedisClient
from jobs.ledger import PREFIX


@dataclass(frozen=True)
class Overview:
    """How it stands with the queues. What is held is named `queue:NAME`, `kind:NAME` or `owner:NAME`."""

    held: list[str]
    drained: list[str]
    """Of `held`, what running jobs are given back of, too."""
    parked: dict[str, int]
    """Jobs that came up while held and were put aside, by what holds them."""
    running: dict[str, int]
    """Jobs in the hands of workers, by queue."""
    waiting_characters: int
    """To be spoken by all jobs that have not ended."""
    waiting_seconds: int
    """To be heard, likewise."""


def overview(redis: RedisClient) -> Overview:
    """Read the overview; its cost grows with the jobs in hand, not with those that wait."""
    with redis.pipeline(transaction=False) as pipe:
        for key in ("held", "draining", "parked"):
            pipe.smembers(PREFIX + key)
        pipe.zrange(PREFIX + "leases", 0, -1)
        for key in ("characters", "seconds"):
            pipe.hget(PREFIX + key, "*")
        held, draining, parked, in_hand, characters, seconds = pipe.execute()
        for what in parked:
            pipe.zcard(f"{PREFIX}parked:{what}")
        for job_id in in_hand:
            pipe.hget(f"{PREFIX}job:{job_id}", "queue")
        found = pipe.execute()
    return Overview(
        sorted(held),
        sorted(draining),
        dict(sorted(zip(parked, found, strict=False))),
        dict(sorted(Counter(filter(None, found[len(parked) :])).items())),
        int(characters or 0),
        int(seconds or 0),
    )
