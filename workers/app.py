"""The Celery application: `celery -A workers.app worker`, and `celery -A workers.app flower`.

`VOXQUEUE_WORKER_KIND` (tts, stt, cpu) and its entry in `VOXQUEUE_SLOTS` say what a worker process is. The device is
pinned here, before anything can import CUDA. Without a kind (Flower) nothing heavy is imported.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from celery import Celery, signals

from jobs.logs import log_plainly
from jobs.settings import settings
from workers.slots import Slot, parse_slots, threads_per_slot

if TYPE_CHECKING:
    from workers.process import WorkerProcess

log = logging.getLogger(__name__)
app = Celery("voxqueue")
app.config_from_object("celeryconfig")

KIND = os.environ.get("VOXQUEUE_WORKER_KIND", "")


def own_slot() -> tuple[Slot, int]:
    """Return this process's entry of `VOXQUEUE_SLOTS`, and its arithmetic threads.

    `VOXQUEUE_WORKER_SLOT` is its place there; without it, it is the first entry of its kind.
    """
    chosen = settings()
    slots = parse_slots(chosen.slots, device=chosen.device)
    threads = threads_per_slot(slots, wanted=chosen.cpu_threads)
    place = os.environ.get("VOXQUEUE_WORKER_SLOT", "")
    if place.isdigit() and int(place) < len(slots) and slots[int(place)].kind == KIND:
        return slots[int(place)], threads
    return next((slot for slot in slots if slot.kind == KIND), Slot(KIND)), threads


def threads_of(kind: str) -> int:
    """Return how many jobs a worker of a kind has in hand at once."""
    chosen = settings()
    return {"tts": chosen.tts_threads, "stt": chosen.stt_threads, "cpu": chosen.cpu_task_threads}[kind]


def _become_worker() -> None:
    """Pin the device, build the process's parts and hang them on Celery's signals."""
    slot, threads = own_slot()
    os.environ.update(slot.environment(threads))
    settings.cache_clear()  # the slot decides on the device
    log_plainly(settings())  # now: Celery would do it after the engine has been loaded
    from workers.process import WorkerProcess
    from workers.tasks import register_tasks

    name = slot.name(socket.gethostname())
    process = WorkerProcess(KIND, name, settings(), app, threads=threads_of(KIND), arithmetic_threads=threads)
    app.conf.worker_concurrency = threads_of(KIND)
    register_tasks(app, process)
    _connect_signals(process)


def _connect_signals(process: WorkerProcess) -> None:
    @signals.setup_logging.connect(weak=False)
    def setup_logging(**_: Any) -> None:
        """Keep Celery's hands off."""

    @signals.celeryd_init.connect(weak=False)
    def name(instance: Any = None, **_: Any) -> None:
        instance.hostname = process.name

    @signals.celeryd_after_setup.connect(weak=False)
    def take_own_queue(instance: Any = None, **_: Any) -> None:
        instance.app.amqp.queues.select([KIND])  # the others stay known, for sending

    @signals.worker_init.connect(weak=False)
    def start(**_: Any) -> None:
        try:
            process.start()
        except Exception:
            # Celery would log it and go on with half a worker, which takes jobs and renews no lease.
            log.critical("worker %s cannot start", process.name, exc_info=True)
            sys.exit(1)

    @signals.worker_shutting_down.connect(weak=False)
    def drain(**_: Any) -> None:
        process.drain()

    @signals.worker_shutdown.connect(weak=False)
    def stop(**_: Any) -> None:
        process.stop()

    @signals.task_revoked.connect(weak=False)
    def revoked(request: Any = None, **_: Any) -> None:
        from workers.revoking import cancel_revoked

        cancel_revoked(process, request)


if KIND:
    _become_worker()
