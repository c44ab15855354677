"""Keeps the leases of a process alive and passes on what the ledger and the operator want of its sessions."""

from __future__ import annotations

import logging
import math
import threading
import time

from redis import RedisError

from jobs.ledger import Ledger, Renewal
from workers.session import Session, Wish

log = logging.getLogger(__name__)
TICK_SECONDS = 1.0
"""How soon a session hears of a cancel. One call of Redis per process and tick, however many jobs it has."""
SHORTEST_SLICE_SECONDS = 1.0
"""A session that has just begun is not asked to make room."""


class LeaseKeeper:
    """A thread that renews all sessions of the process at every tick."""

    def __init__(self, ledger: Ledger, queue: str, *, threads: int, slice_seconds: float) -> None:
        self._ledger = ledger
        self._queue = queue
        self._threads = threads
        self._slice = slice_seconds
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._draining = False
        self._thread = threading.Thread(target=self._live, name="leases", daemon=True)
        self.make_room = threading.Event()
        """Set while a job waits to run alone: sessions past their slice make room."""

    def start(self) -> None:
        """Begin to renew."""
        self._thread.start()

    def stop(self) -> None:
        """Stop renewing, after the last session has ended."""
        self._stop.set()

    def add(self, session: Session) -> None:
        """Keep a session's lease from now on."""
        with self._lock:
            self._sessions[session.job.id] = session
        if self._draining:
            session.want(Wish.DRAIN)

    def remove(self, session: Session) -> None:
        """Stop keeping a session's lease."""
        with self._lock:
            if self._sessions.get(session.job.id) is session:
                del self._sessions[session.job.id]

    @property
    def draining(self) -> bool:
        """Whether the process is about to end."""
        return self._draining

    def drain(self) -> None:
        """Ask all sessions, present and future, to give their job back."""
        self._draining = True
        for session in self._snapshot():
            session.want(Wish.DRAIN)

    def __len__(self) -> int:
        """Sessions in hand."""
        return len(self._sessions)

    def _snapshot(self) -> list[Session]:
        with self._lock:
            return list(self._sessions.values())

    def _live(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            sessions = self._snapshot()
            try:
                if sessions:
                    renewal = self._ledger.renew([session.claim for session in sessions], [self._queue])
                    self._pass_on(renewal, sessions)
            except RedisError as error:
                # Running work goes on; the leases are long enough for a short absence, and the attempt fences the rest.
                log.warning("renewing %d leases failed: %s", len(sessions), error)
            except Exception:
                log.exception("renewing leases failed")  # and is tried again: without this thread all jobs are lost

    def _pass_on(self, renewal: Renewal, sessions: list[Session]) -> None:
        for session in sessions:
            match renewal.signals.get(session.job.id):
                case "yield":
                    session.want(Wish.YIELD)
                case "cancel":
                    session.want(Wish.CANCEL)
                case "lost":
                    session.want(Wish.LOST)
        for session in self._who_yields(sessions, renewal.urgent.get(self._queue)):
            session.want(Wish.YIELD)

    def _who_yields(self, sessions: list[Session], urgent: int | None) -> list[Session]:
        """Choose the sessions that give their thread back, least urgent and longest running first, a few at a time."""
        now = time.monotonic()
        if self.make_room.is_set():
            return [session for session in sessions if now - session.started > self._slice]
        if urgent is None or len(sessions) < self._threads:
            return []
        idle = [session for session in sessions if session.idle]
        # Who only waits for a turn gives up nothing by going, and while there is one, nobody leaves his work for an
        # equal. One at a time: if it is its own kind that waits, it will be back, and each beginning costs something.
        candidates = [session for session in idle or sessions if self._may_yield(session, urgent, now)]
        candidates.sort(key=lambda session: (-session.job.priority, session.started))
        among_equals = all(urgent >= session.job.priority - 1 for session in candidates)
        return candidates[: 1 if idle and among_equals else math.ceil(self._threads / 8)]

    def _may_yield(self, session: Session, urgent: int, now: float) -> bool:
        seconds = session.seconds_of_work(now)
        more_urgent = urgent < session.job.priority - 1  # the step above a priority is only the front of its own line
        as_urgent = urgent <= session.job.priority
        return (more_urgent and seconds > SHORTEST_SLICE_SECONDS) or (as_urgent and seconds > self._slice)
