"""The life of one delivery: claim, work, and exactly one of commit, release or walking away."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable

from jobs.broker import Broker
from jobs.errors import JobsError, LeaseLost, NotFound, StoreError
from jobs.ledger import Claim, Delivery, Ledger, Refusal
from jobs.queries import Queries
from jobs.record import Output, Problem
from workers.faults import EngineBroken, SchedulerStopped
from workers.gate import Gate
from workers.insist import AWAY, insist
from workers.leases import LeaseKeeper
from workers.session import JobFailed, Session, Stop, Wish

log = logging.getLogger(__name__)
Handler = Callable[[Session], Output | None]
"""Does the work of a session. None: a parent that waits for its children."""
PASS_ON_SECONDS = 0.5
ENDING_SECONDS = 10
"""A process whose engine broke ends well within this."""
STORE_PAUSES = (1.0, 5.0, 20.0)
"""Seconds after which a job whose store failed goes on, once each: an object store restarts, a full disk is emptied.
They begin anew whenever a unit was finished: a long job may outlive many outages."""
REDIS_PAUSE = 1.0
HOPELESS = frozenset({"too_large_for_redis"})
"""Failures of the store that another try does not mend."""


class Runner:
    """Runs deliveries in this process. Thread-safe; one call of `run` per task thread."""

    def __init__(self, ledger: Ledger, broker: Broker, leases: LeaseKeeper, gate: Gate, worker: str) -> None:
        self._ledger = ledger
        self._queries = Queries(ledger.redis)
        self._broker = broker
        self._leases = leases
        self._gate = gate
        self._worker = worker
        self.claims = 0
        """Deliveries claimed so far."""
        self.heard = 0
        """Deliveries that came, claimed or not (the watchdog looks at it)."""

    def run(self, job_id: str, sequence: int, handler: Handler) -> str:
        """Do a delivered job; returns what became of the delivery. Raises `JobFailed` after committing a failure."""
        self.heard += 1
        if self._leases.draining:
            return self._pass_on(job_id, sequence)
        found = self._ledger.claim(job_id, sequence, self._worker)
        if isinstance(found, Refusal):
            self._send(found.wake)
            log.info("job %s: nothing to do (%s)", job_id, found.why)
            return found.why
        self.claims += 1
        session = Session(found, self._ledger)
        self._leases.add(session)
        try:
            return self._work(session, handler)
        finally:
            self._leases.remove(session)

    def _pass_on(self, job_id: str, sequence: int) -> str:
        """Send a delivery that came while the process drains again, for another one: a claim would cost an attempt."""
        time.sleep(PASS_ON_SECONDS)  # until our own consumer has stopped
        with contextlib.suppress(NotFound):
            job = self._queries.get(job_id)
            if job.sequence == str(sequence):
                self._broker.send([Delivery(job.id, job.kind, job.phase, job.queue, job.step, sequence)])
        return "passed on"

    def _work(self, session: Session, handler: Handler) -> str:
        try:
            with self._admission(session):
                session.check()
                output = self._through_outages(session, handler)
            return self._commit(session, output)
        except Stop as stop:
            return self._stopped(session.claim, stop.wish)
        except LeaseLost:
            return self._stopped(session.claim, Wish.LOST)
        except (EngineBroken, SchedulerStopped) as error:
            return self._engine_gone(session, error)
        except StoreError as error:
            return self._fail(session, JobFailed(error.code, "The store failed", error.detail))
        except Exception as error:  # noqa: BLE001 - whatever it is, the job ends and the client hears of it
            return self._fail(session, _failure_of(session, error))

    def _through_outages(self, session: Session, handler: Handler) -> Output | None:
        """Do the work; if the store fails or Redis goes away, again after a pause, from the last finished unit on."""
        pauses = iter(STORE_PAUSES)
        while True:
            try:
                return self._handle(session, handler)
            except AWAY as error:  # it comes back, or nobody could be told anyway
                log.warning("job %s: Redis is away (%s); it goes on when it is back", session.job.id, error)
                session.rest(REDIS_PAUSE)
            except StoreError as error:
                if session.proven:
                    pauses = iter(STORE_PAUSES)
                pause = next(pauses, None)
                if pause is None or error.code in HOPELESS:
                    raise
                log.warning("job %s: %s; again in %.0f s", session.job.id, error.detail, pause)
                session.rest(pause)

    def _handle(self, session: Session, handler: Handler) -> Output | None:
        """Do the work. When the engine breaks, wait for the end of the process before anybody else is admitted.

        Otherwise a job that waits to run alone would be let in, die with the process, and be condemned for it.
        """
        try:
            return handler(session)
        except EngineBroken:
            if not self._leases.draining:
                time.sleep(ENDING_SECONDS)
            raise

    def _engine_gone(self, session: Session, error: Exception) -> str:
        """Give the job back if the process ends in order; else leave it.

        A broken engine ends the process. Then the lease runs out and the death counts, so that a job which breaks
        engines is found.
        """
        if self._leases.draining:
            return self._stopped(session.claim, Wish.DRAIN)
        log.error("job %s: %s; left to the next process", session.job.id, error)
        return "left"

    def _admission(self, session: Session) -> Gate.Pass:
        """Let normal jobs in together, and a job that has killed its worker twice only by itself."""
        if not session.job.alone:
            return self._gate.shared(session)
        self._leases.make_room.set()
        try:
            entered = self._gate.alone(session)
        finally:
            self._leases.make_room.clear()
        try:
            insist(lambda: self._ledger.run_alone(session.claim), "telling that a job runs alone")
        except BaseException:
            entered.leave()
            raise
        log.warning("job %s runs alone: it was in hand at %d deaths", session.job.id, session.job.deaths)
        return entered

    def _commit(self, session: Session, output: Output | None) -> str:
        if output is None:
            self._send(insist(lambda: self._ledger.wait_for_children(session.claim), "putting a parent aside"))
            return "waiting"
        self._send(insist(lambda: self._ledger.succeed(session.claim, output), "committing"))
        for tidy in session.after_commit:
            try:
                tidy()
            except JobsError as error:  # the result is out; what is left behind goes with the record
                log.warning("job %s: tidying up failed: %s", session.job.id, error.detail)
        return "succeeded"

    def _stopped(self, claim: Claim, wish: Wish) -> str:
        try:
            match wish:
                case Wish.CANCEL:
                    self._send(insist(lambda: self._ledger.give_up(claim), "cancelling"))
                    return "canceled"
                case Wish.YIELD | Wish.DRAIN:
                    self._send(insist(lambda: self._ledger.release(claim, front=wish is Wish.DRAIN), "releasing"))
                    return "released"
        except LeaseLost:
            pass  # taken meanwhile; the other process goes on
        log.warning("job %s: lease lost, nothing more is written", claim.id)
        return "lost"

    def _fail(self, session: Session, failure: JobFailed) -> str:
        problem: Problem = failure.problem
        try:
            self._send(insist(lambda: self._ledger.fail(session.claim, problem), "committing a failure"))
        except LeaseLost:
            return self._stopped(session.claim, Wish.LOST)
        raise failure  # so that Celery and Flower see a FAILURE

    def _send(self, delivery: Delivery | None) -> None:
        if delivery is not None:
            self._broker.send([delivery])


def _failure_of(session: Session, error: Exception) -> JobFailed:
    if isinstance(error, JobFailed):
        return error
    if isinstance(error, JobsError):
        return JobFailed(error.code, "The job cannot be done", error.detail)
    log.error("job %s: unexpected error", session.job.id, exc_info=error)
    detail = f"an unexpected {type(error).__name__} in the worker; its log has the details under this job's ID"
    return JobFailed("internal_error", "Internal error", detail)
