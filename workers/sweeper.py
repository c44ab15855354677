"""Takes back what dead processes held, sends what was lost, erases records that are over.

Every worker has one; a short lock in Redis lets one of them work at a time.
"""

from __future__ import annotations

import logging
import threading

from jobs.broker import Broker
from jobs.ledger import PREFIX, Ledger, Recovery
from jobs.logs import about
from jobs.registry import Registry
from jobs.settings import Settings
from jobs.webhooks import Webhooks
from workers.identity import is_dead
from workers.insist import AWAY

log = logging.getLogger(__name__)
PORTIONS = 20
"""Portions of erased records in a sweep: a parent of 50,000 children is gone within half a minute."""


class Sweeper:
    """A thread that sweeps every `VOXQUEUE_SWEEP_SECONDS`."""

    def __init__(
        self,
        ledger: Ledger,
        broker: Broker,
        webhooks: Webhooks,
        settings: Settings,
        *,
        worker: str,
    ) -> None:
        self._ledger = ledger
        self._broker = broker
        self._registry = Registry(ledger.redis)
        self._webhooks = webhooks
        self._worker = worker
        self._seconds = settings.sweep_seconds
        self._lease_seconds = settings.lease_seconds
        self._lost_seconds = settings.lost_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="sweeper", daemon=True)
        self.recovered = 0
        """Jobs taken back from dead processes, by this sweeper."""
        self.resent = 0
        """Deliveries sent again because their message was lost."""

    def start(self) -> None:
        """Begin to sweep."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present sweep."""
        self._stop.set()
        self._thread.join(timeout=self._seconds + 5)

    def _live(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                if self._my_turn():
                    self.sweep()
            except AWAY as error:
                log.warning("sweeping failed: %s", error)
            except Exception:
                log.exception("sweeping failed")

    def _my_turn(self) -> bool:
        lifetime = int(self._seconds * 1000)
        return bool(self._ledger.redis.set(f"{PREFIX}sweeper", self._worker, nx=True, px=max(lifetime - 50, 50)))

    def sweep(self) -> None:
        """Sweep once. Everything here may be done twice, by two processes at once, without harm.

        What fails does not keep the rest from being done: a job that cannot be taken back is no reason to lose others.
        """
        for step in (self._recover, self._send_lost, self._send_freed, self._call_webhooks, self._expire):
            try:
                step()
            except AWAY:
                raise
            except Exception:
                log.exception("sweeping failed at %s", step.__name__.strip("_"))

    def _send_lost(self) -> None:
        lost = self._broker.find_lost(self._ledger, self._lost_seconds)
        if lost:
            self.resent += len(lost)
            log.warning("%d messages were lost; sent again: %s", len(lost), ", ".join(one.id for one in lost[:10]))
            self._broker.send(lost)

    def _send_freed(self) -> None:
        self._broker.send(self._ledger.unpark())

    def _call_webhooks(self) -> None:
        self._broker.call_webhooks(self._webhooks.due())

    def _expire(self) -> None:
        for _ in range(PORTIONS):
            if not self._ledger.expire():
                break

    def _recover(self) -> None:
        for worker in self._registry.processes():
            if is_dead(worker):
                log.warning("worker %s has died", worker)
                self._take(self._ledger.bury(worker))
                self._registry.leave_process(worker)
        # While Redis was starting nobody could renew a lease.
        uptime = float(self._ledger.redis.info("server")["uptime_in_seconds"])
        self._take(self._ledger.recover(grace_seconds=self._lease_seconds - uptime))

    def _take(self, found: Recovery) -> None:
        if found.deliveries:
            self.recovered += len(found.deliveries)
            log.warning("taken back from dead workers: %s", ", ".join(one.id for one in found.deliveries[:10]))
        for job_id in found.condemned:
            with about(job_id):
                log.error("condemned: the worker died again and again with this job alone in it")
        for job_id, why in found.broken.items():
            with about(job_id):
                log.error("cannot be taken back from a dead worker: its record in the ledger makes no sense (%s)", why)
        self._broker.send(found.deliveries)
