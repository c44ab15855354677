"""Ledgers that older versions wrote, brought up to date. Nothing else may use the ledger meanwhile.

A step may be cut off anywhere and is then done again from its beginning: the version is written last.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from jobs.connect import RedisClient
from jobs.errors import SchemaMismatch
from jobs.ledger import PREFIX, SCHEMA_VERSION
from jobs.load import load_of
from jobs.record import Blob
from jobs.registry import Registry
from jobs.states import Kind, Status

PORTION = 500


def migrate(redis: RedisClient) -> list[int]:
    """Bring the ledger to `SCHEMA_VERSION` and return the versions it went through; an empty one needs nothing.

    Raises `SchemaMismatch` for a newer ledger, for one that is too old, and while workers are alive.
    """
    found = int(redis.get(PREFIX + "schema") or SCHEMA_VERSION)
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(
            "schema_newer",
            f"the ledger in Redis has schema version {found}, newer than this program's {SCHEMA_VERSION}; "
            "use the version that wrote it",
        )
    todo = range(found, SCHEMA_VERSION)
    if missing := [version for version in todo if version not in STEPS]:
        raise SchemaMismatch("schema_too_old", f"nothing leads on from schema version {missing[0]} of the ledger")
    if todo and (alive := Registry(redis).workers()):
        names = ", ".join(str(worker["name"]) for worker in alive)
        raise SchemaMismatch("ledger_in_use", f"workers are alive ({names}); stop web and workers, then migrate")
    for version in todo:
        STEPS[version](redis)
        redis.set(PREFIX + "schema", version + 1)
    return list(todo)


def _weigh_jobs(redis: RedisClient) -> None:
    """1 to 2: deaths alone are counted apart, and what waits is weighed in characters and seconds of audio."""
    waiting: dict[str, Counter[str]] = {"characters": Counter(), "seconds": Counter()}
    for portion in _records(redis):
        with redis.pipeline() as pipe:
            for key, job in portion:
                load = _load_of_record(job)
                weights = {"characters": load[0], "seconds": load[1]}
                pipe.hset(key, mapping={"deaths_alone": job.get("deaths_alone", "0"), **weights})
                if not Status(job["status"]).is_terminal:
                    for measure, weight in weights.items():
                        waiting[measure].update({job["owner"]: weight, "*": weight})
            pipe.execute()
    with redis.pipeline() as pipe:
        for measure, by_owner in waiting.items():
            pipe.delete(PREFIX + measure)
            if positive := {owner: weight for owner, weight in by_owner.items() if weight}:
                pipe.hset(PREFIX + measure, mapping=positive)
        pipe.execute()


def _load_of_record(job: dict[str, str]) -> tuple[int, int]:
    if job["phase"] not in {"", "planning"}:
        return 0, 0  # its children weigh
    if job["unit"] == "second" and int(job["total"]):
        return 0, int(job["total"])
    inputs = [Blob.from_json(blob) for blob in json.loads(job["inputs"])]
    return load_of(Kind(job["kind"]), json.loads(job["spec"]).get("text"), inputs)


def _records(redis: RedisClient) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Yield all jobs, in portions."""
    all_keys = redis.scan_iter(f"{PREFIX}job:*", count=PORTION)
    while keys := list(islice(all_keys, PORTION)):
        with redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            yield [(key, job) for key, job in zip(keys, pipe.execute(), strict=True) if "number" in job]


STEPS: dict[int, Callable[[RedisClient], None]] = {1: _weigh_jobs}
"""What leads on from each version."""
