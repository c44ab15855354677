"""The ledger: who has which job, and what has become of it. Every change is one call of `ledger.lua`."""

from __future__ import annotations

import functools
import json
import secrets
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

from jobs.answers import NO_LIMITS, Claim, Delivery, DueCall, Limits, NewJob, Recovery, Refusal, Renewal, Submitted
from jobs.connect import RedisClient
from jobs.errors import Conflict, LeaseLost, NotFound, QueueFull, SchemaMismatch
from jobs.record import Job, Output, Problem
from jobs.states import MOVES, Status

__all__ = ["Claim", "Delivery", "Ledger", "Limits", "NewJob", "Recovery", "Refusal", "Renewal", "Submitted"]

SCHEMA_VERSION = 2
"""Of keys and fields; jobs/migrations.py leads on from older ones."""
PREFIX = "vq:"
PORTION = 200
"""Records that one call of a script touches at most, so that Redis never stops answering for long."""
TRASH = 1000
"""Jobs whose files are removed at once."""
KEPT = frozenset(
    {"claim", "commit", "release", "wait_for_children", "cancel", "cancel_children", "retry", "retry_children"}
    | {"delete", "expire", "recover", "bury", "lost", "unpark", "webhooks_due", "webhook_begin", "webhook_called"}
)
"""Functions whose answer is kept for a repeated call: their deliveries must not be lost with a connection."""
CONDEMNED = Problem(
    "worker_died",
    "The worker died",
    "The process that ran this job died again and again, at last with this job alone in it; "
    "its input is likely to be the cause.",
)


@functools.cache
def _source() -> str:
    moves = ", ".join(
        f"{old} = {{ {', '.join(f'{new} = true' for new in sorted(new_ones))} }}" for old, new_ones in MOVES.items()
    )
    return f"local MOVES = {{ {moves} }}\n" + resources.files("jobs").joinpath("ledger.lua").read_text("utf-8")


def _deliveries(raw: Sequence[dict[str, Any]]) -> list[Delivery]:
    # cjson writes an empty array as {}.
    found = [Delivery.parse(one) for one in raw] if raw else []
    return [delivery for delivery in found if delivery is not None]


def _written(arguments: dict[str, Any]) -> str:
    return json.dumps(arguments, ensure_ascii=False)


def _submission(new: NewJob) -> dict[str, Any]:
    """Return a new job as the script takes it; without limits, which are for those without a parent."""
    return vars(new) | {
        "inputs": json.dumps([blob.to_json() for blob in new.inputs]),
        "metadata": json.dumps(new.metadata),
        "sums": "1" if new.sums else "0",
        "timeout_ms": str(int(new.timeout_seconds * 1000)) if new.timeout_seconds else "",
        "ttl_ms": int(new.ttl_seconds * 1000),
    }


def _why_full(answer: dict[str, Any]) -> str:
    whose = "in all" if answer["whose"] == "all" else "for this key"
    most, waits, own = (int(answer[name]) for name in ("most", "waits", "own"))
    if answer["measure"] == "queued":
        return f"{waits} jobs wait already {whose}, and {most} may; submit again later"
    what = {"characters": "characters", "seconds": "seconds of audio"}[answer["measure"]]
    return (
        f"{waits} {what} wait already {whose}; with the {own} of this job they would be more than the {most} that "
        "may; submit again later"
    )


def _submitted(new: NewJob, answer: dict[str, Any]) -> Submitted:
    match answer["outcome"]:
        case "conflict":
            raise Conflict(
                "idempotency_conflict",
                "this Idempotency-Key was used with another request; use a new key",
            )
        case "gone":
            raise NotFound("parent_gone", f"the parent {new.parent} has ended or was deleted")
    created = answer["outcome"] == "created"
    job = Job.parse(answer["job"]) if "job" in answer else None
    return Submitted(answer["id"], created, Delivery.parse(answer.get("delivery")), job, answer.get("before"))


class Ledger:
    """All jobs of one Redis database. Thread-safe; one per process."""

    def __init__(self, redis: RedisClient, *, lease_seconds: float = 15) -> None:
        self.redis = redis
        self._script = redis.register_script(_source())
        self._lease_ms = int(lease_seconds * 1000)

    def check_schema(self) -> None:
        """Refuse a ledger of another schema version; mark a new one. Raises `SchemaMismatch`."""
        self.redis.set(PREFIX + "schema", SCHEMA_VERSION, nx=True)
        found = int(self.redis.get(PREFIX + "schema") or 0)
        if found != SCHEMA_VERSION:
            raise SchemaMismatch(
                "schema_mismatch",
                f"the ledger in Redis has schema version {found}, this program needs {SCHEMA_VERSION}; "
                "run `voxqueue migrate`, or use the version that wrote it",
            )

    def identity(self) -> str:
        """Return a name that no other ledger has."""
        self.redis.set(PREFIX + "identity", secrets.token_hex(8), nx=True)
        return str(self.redis.get(PREFIX + "identity"))

    def _call(self, function: str, **arguments: Any) -> dict[str, Any]:
        if function in KEPT:
            arguments["call"] = secrets.token_hex(8)
        answer = self._script(args=[function, _written(arguments)])
        found: dict[str, Any] = json.loads(answer)
        return found

    # --- coming in

    def submit(
        self, new: NewJob, *, limits: Limits = NO_LIMITS, owner_limits: Limits = NO_LIMITS, show: bool = False
    ) -> Submitted:
        """Write a job down. The caller sends `Submitted.delivery`; if it cannot, the sweeper does.

        `limits` are on what waits in all, `owner_limits` on what waits of the job's owner; children come in anyway.
        With `show` the answer has the record.

        Raises `QueueFull` over a limit, `Conflict` for a used idempotency key with another fingerprint, `NotFound` if
        the parent is gone or has ended.
        """
        arguments = _submission(new)
        arguments.update(limits={"all": vars(limits), "owner": vars(owner_limits)}, show=show)
        answer = self._call("submit", **arguments)
        if answer["outcome"] == "full":
            raise QueueFull("queue_full", _why_full(answer))
        return _submitted(new, answer)

    def submit_many(self, children: Sequence[NewJob]) -> list[Submitted]:
        """Write children down in one round trip, each as `submit` does. Raises `NotFound` if a parent is gone."""
        pipeline = self.redis.pipeline(transaction=False)
        for new in children:
            self._script(args=["submit", _written(_submission(new))], client=pipeline)
        answers = pipeline.execute()
        return [_submitted(new, json.loads(answer)) for new, answer in zip(children, answers, strict=True)]

    # --- working

    def claim(self, job_id: str, sequence: int, worker: str) -> Claim | Refusal:
        """Take a delivered job: it is running, with a new attempt and a lease, or there is nothing to do."""
        answer = self._call(
            "claim",
            id=job_id,
            sequence=sequence,
            worker=worker,
            nonce=secrets.token_hex(8),
            lease_ms=self._lease_ms,
        )
        if answer["outcome"] == "claimed":
            job = Job.parse(answer["job"])
            claimed = (int(answer["job"]["lease"]) - self._lease_ms) / 1000
            return Claim(job, None if job.deadline is None else job.deadline - claimed)
        return Refusal(answer["outcome"], Delivery.parse(answer.get("wake")))

    def renew(self, claims: Sequence[Claim], queues: Sequence[str] = ()) -> Renewal:
        """Renew the leases of a process and learn which of its jobs to stop."""
        jobs = [{"id": claim.id, "attempt": claim.attempt, "claim": claim.nonce} for claim in claims]
        answer = self._call("renew", jobs=jobs, queues=list(queues), lease_ms=self._lease_ms)
        return Renewal(answer["signals"] or {}, answer["urgent"] or {})

    def run_alone(self, claim: Claim) -> None:
        """Note that the job has the process to itself: a death counts against it from here on. Raises `LeaseLost`."""
        self._fenced("alone", claim)

    def await_turn(self, claim: Claim, *, awaiting: bool) -> None:
        """Note that the job only waits for its turn, or no longer: no death meanwhile counts. Raises `LeaseLost`."""
        self._fenced("await_turn", claim, awaiting=awaiting)

    def progress(self, claim: Claim, done: int, total: int, unit: str) -> None:
        """Tell how far the job is. Raises `LeaseLost`."""
        self._fenced("progress", claim, done=done, total=total, unit=unit)

    def register(self, claim: Claim, name: str, unit: dict[str, Any], *, done: int, total: int) -> None:
        """Enter a finished unit (its blob and facts) in the journal. Raises `LeaseLost`."""
        self._fenced("register", claim, index=name, unit=json.dumps(unit), done=done, total=total)

    def units(self, job_id: str) -> dict[str, dict[str, Any]]:
        """Return the journal: finished units by name, of all attempts."""
        raw = self.redis.hgetall(f"{PREFIX}units:{job_id}")
        return {name: json.loads(unit) for name, unit in raw.items()}

    def unit_names(self, job_id: str) -> set[str]:
        """Return the names of the finished units in the journal."""
        return set(self.redis.hkeys(f"{PREFIX}units:{job_id}"))

    def unit(self, job_id: str, name: str) -> dict[str, Any] | None:
        """Return one finished unit of the journal."""
        raw = self.redis.hget(f"{PREFIX}units:{job_id}", name)
        found: dict[str, Any] | None = json.loads(raw) if raw else None
        return found

    def succeed(self, claim: Claim, output: Output) -> Delivery | None:
        """Make the result visible. Answers the parent's delivery if this was its last child. Raises `LeaseLost`."""
        return self._commit(claim, Status.SUCCEEDED, output=json.dumps(output.to_json()), error="")

    def fail(self, claim: Claim, problem: Problem, output: Output | None = None) -> Delivery | None:
        """End the job as failed. Raises `LeaseLost`."""
        written = json.dumps(output.to_json()) if output else ""
        return self._commit(claim, Status.FAILED, output=written, error=json.dumps(problem.to_json()))

    def give_up(self, claim: Claim) -> Delivery | None:
        """End the job as canceled, after the signal `cancel`. Raises `LeaseLost`."""
        return self._commit(claim, Status.CANCELED, output="", error="")

    def lose_files(self, job: Job, problem: Problem) -> bool:
        """Fail a job that had succeeded, since its files are gone; False if it has changed since it was read."""
        output = {name: value for name, value in job.output.items() if name != "files"}
        arguments = {"output": json.dumps(output | {"files": []}), "error": json.dumps(problem.to_json())}
        return bool(self._call("lose_files", id=job.id, version=job.version, **arguments)["ok"])

    def release(self, claim: Claim, *, front: bool) -> Delivery | None:
        """Give the job back unfinished, to the front of its line (drain) or to the back (slice). Raises `LeaseLost`."""
        return Delivery.parse(self._fenced("release", claim, front=front).get("delivery"))

    def wait_for_children(self, claim: Claim) -> Delivery | None:
        """Put a parent aside until its last child has ended. Raises `LeaseLost`."""
        return Delivery.parse(self._fenced("wait_for_children", claim).get("wake"))

    def _commit(self, claim: Claim, status: Status, *, output: str, error: str) -> Delivery | None:
        answer = self._fenced("commit", claim, status=status.value, output=output, error=error)
        return Delivery.parse(answer.get("wake"))

    def _fenced(self, function: str, claim: Claim, **arguments: Any) -> dict[str, Any]:
        answer = self._call(function, id=claim.id, attempt=claim.attempt, claim=claim.nonce, **arguments)
        if not answer["ok"]:
            raise LeaseLost("lease_lost", f"job {claim.id} is no longer held by attempt {claim.attempt}")
        return answer

    # --- from outside

    def cancel(self, job_id: str) -> list[Delivery]:
        """Cancel a job and its waiting children. Answers deliveries to send. Raises `NotFound` or `Conflict`."""
        answer = self._call("cancel", id=job_id)
        self._refuse(job_id, answer)
        deliveries = _deliveries([answer["wake"]] if "wake" in answer else [])
        while True:
            portion = self._call("cancel_children", id=job_id, limit=PORTION)
            deliveries += _deliveries(portion["wakes"])
            if not portion["done"]:
                return deliveries

    def retry(self, job_id: str, send: Callable[[Sequence[Delivery]], None]) -> None:
        """Queue a failed or canceled job (or a parent's failed children) again; `send` gets the deliveries.

        A child may be retried by itself while its parent waits; one whose parent has ended is retried with that.
        Raises `NotFound` or `Conflict`.
        """
        answer = self._call("retry", id=job_id, lease_ms=self._lease_ms)
        self._refuse(job_id, answer)
        send(_deliveries([answer["delivery"]] if "delivery" in answer else []))
        if answer.get("more"):
            self.retry_children(job_id, send)

    def retry_children(self, job_id: str, send: Callable[[Sequence[Delivery]], None]) -> None:
        """Go on with the retry of a parent: queue its broken children again, each of them once; does nothing without.

        `send` gets the deliveries. If the caller dies on the way, `recover` goes on.
        """
        while True:
            portion = self._call("retry_children", id=job_id, limit=PORTION, lease_ms=self._lease_ms)
            send(_deliveries(portion["deliveries"]))
            if not portion.get("more"):
                return

    def delete(self, job_id: str) -> None:
        """Erase a job and its children; a running one loses its lease. Raises `NotFound`, or `Conflict` for a child."""
        self._refuse(job_id, self._call("delete", id=job_id))

    @staticmethod
    def _refuse(job_id: str, answer: dict[str, Any]) -> None:
        match answer["outcome"]:
            case "gone":
                raise NotFound("job_not_found", f"there is no job {job_id}")
            case "refused":
                raise Conflict("wrong_state", f"the job is {answer['status']}")
            case "child":
                raise Conflict("is_child", "a child goes with its parent; delete the parent")
            case "assembling":
                raise Conflict("wrong_state", "the job's parent is being assembled; wait for its end, then retry it")
            case "over":
                raise Conflict("is_child", "the job's parent has ended; retry the parent")

    def hold(self, what: str, *, drain: bool = False) -> None:
        """Hold `queue:NAME`, `kind:NAME` or `owner:NAME`: its jobs wait.

        Running ones go on or, with `drain`, are given back at their next unit.
        """
        self._call("hold", what=what, drain=drain)

    def free(self, what: str) -> None:
        """Hold it no more; `unpark` sends what was put aside."""
        self._call("free", what=what)

    def held(self) -> set[str]:
        """Return what is held."""
        return set(self.redis.smembers(PREFIX + "held"))

    # --- webhooks

    def webhooks_due(self, limit: int, put_off_seconds: float) -> list[DueCall]:
        """Return the webhooks that are to be called, and put each off in case that its message is lost."""
        answer = self._call("webhooks_due", limit=limit, put_off_ms=int(put_off_seconds * 1000))
        return [DueCall(one["id"], int(one["number"]), int(answer["sequence"])) for one in answer["calls"] or []]

    def webhook_begin(self, job_id: str, number: int, put_off_seconds: float) -> tuple[int, int] | None:
        """Begin a call unless it is over or begun: its new number, for `webhook_called`, and which try it is.

        If its caller dies, another is due after `put_off_seconds`.
        """
        answer = self._call("webhook_begin", id=job_id, number=number, put_off_ms=int(put_off_seconds * 1000))
        return (int(answer["number"]), int(answer["try"])) if answer["ok"] else None

    def webhook_called(self, job_id: str, number: int, facts: str, again_seconds: float, keep: int) -> None:
        """Note a call (`facts`, JSON) and when the next one is due, 0 for never."""
        again_ms = int(again_seconds * 1000)
        self._call("webhook_called", id=job_id, number=number, call_facts=facts, again_ms=again_ms, keep=keep)

    def webhook_again(self, job_id: str) -> str:
        """Make a webhook due now; answers `due`, or why not: `gone`, `none`, or the job's status."""
        return str(self._call("webhook_again", id=job_id)["outcome"])

    # --- sweeping

    def recover(self, *, grace_seconds: float = 0) -> Recovery:
        """Take back jobs whose lease ran out, unless there is grace.

        `grace_seconds`: grace from now on, because Redis has just come back and nobody could renew.
        """
        return self._take_back("recover", grace_ms=max(0, int(grace_seconds * 1000)), lease_ms=self._lease_ms)

    def bury(self, worker: str) -> Recovery:
        """Take back the jobs of a process that is known to be dead, without waiting for their leases to run out."""
        return self._take_back("bury", worker=worker)

    def _take_back(self, function: str, **arguments: Any) -> Recovery:
        error = json.dumps(CONDEMNED.to_json())
        answer = self._call(function, limit=PORTION, condemned_error=error, **arguments)
        broken = {one["id"]: one["why"] for one in answer["broken"] or []}
        return Recovery(
            _deliveries(answer["deliveries"]), list(answer["condemned"] or []), bool(answer.get("grace")), broken
        )

    def lost(self, queue: str, step: int, oldest: int, grace_seconds: float) -> list[Delivery]:
        """Return anew, a portion at a time, the deliveries whose message is lost; note how the list stands now.

        Lost is what is older than the list's `oldest` message (0: empty list) now and was so `grace_seconds` ago.
        """
        answer = self._call(
            "lost", queue=queue, step=step, oldest=oldest, grace_ms=int(grace_seconds * 1000), limit=PORTION
        )
        return _deliveries(answer["deliveries"])

    def unpark(self) -> list[Delivery]:
        """Return deliveries of parked jobs that nobody holds any more."""
        deliveries: list[Delivery] = []
        while True:
            answer = self._call("unpark", limit=PORTION)
            deliveries += _deliveries(answer["deliveries"])
            if not answer["more"]:
                return deliveries

    def expire(self) -> list[str]:
        """Erase records whose time is over, a portion at a time; answers their IDs."""
        return list(self._call("expire", limit=PORTION)["ids"] or [])

    def trash(self, count: int = TRASH) -> list[str]:
        """Return some IDs of erased jobs whose files are still to be removed."""
        return list(self.redis.srandmember(PREFIX + "trash", count))

    def empty_trash(self, job_ids: Sequence[str]) -> None:
        """Note that the files of these jobs are gone."""
        if job_ids:
            self.redis.srem(PREFIX + "trash", *job_ids)
