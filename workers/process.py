"""One worker process: its engine, its threads, and their order of starting and ending.

Celery's consumer thread pops messages and hands them to task threads; each task thread holds one job. The engine thread
owns the model. Beside them live the lease keeper, the sweeper, the watchdog and the reporter.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

from celery import Celery
from redis import RedisError

from jobs import tracing
from jobs.broker import Broker
from jobs.connect import connect
from jobs.ledger import Ledger
from jobs.logs import about
from jobs.queries import Queries
from jobs.registry import Registry
from jobs.remote_files import store_of
from jobs.reuse import KeptResults
from jobs.settings import Settings
from jobs.states import Kind
from jobs.webhooks import Webhooks
from speech.device import cap_threads
from speech.errors import SpeechError
from workers.batching import BatchScheduler, Engine, EngineBroken
from workers.gate import Gate
from workers.identity import identity
from workers.leases import LeaseKeeper
from workers.parents import Family
from workers.reporting import Reporter
from workers.reuse import Reusing
from workers.runner import Handler, Runner
from workers.slots import count_cores
from workers.sweeper import Sweeper
from workers.tidying import Tidier
from workers.watchdog import Check, ConsumerDeaf, EngineStalled, Watchdog

log = logging.getLogger(__name__)


class WorkerEngine(Engine[Any, Any], Protocol):
    """An engine of this program: it also says what it is and what it offers."""

    def warm_up_tasks(self) -> None:
        """Load what the task threads need, so that the first job does not wait for it."""

    def offers(self) -> tuple[str, dict[str, dict[str, Any]]]:
        """Return a catalogue's name and the entries to publish in it."""

    def report(self) -> dict[str, Any]:
        """Return the engine's part of the worker's line in `GET /v1/workers`."""


SWITCH_SECONDS = 0.0005
"""How long a thread that wants the interpreter waits for one that computes in Python. The engine wants it back behind
each of its operations, which are shorter than Python's default of 5 ms: a front end beside it would take turns with it
instead of running at the same time."""
BATCH_SHARE = 0.5
"""How much of a drain the running batch may take: a row still ends behind it, and all jobs are handed back."""


class WorkerProcess:
    """Everything that a worker process has once. `kind` is `tts`, `stt` or `cpu`."""

    def __init__(
        self, kind: str, name: str, settings: Settings, celery: Celery, *, threads: int, arithmetic_threads: int
    ) -> None:
        self.kind = kind
        self.name = name
        self.identity = identity(name)
        self.settings = settings
        self._threads = threads
        self._arithmetic_threads = arithmetic_threads
        redis = connect(settings.redis_url)
        self.redis = redis
        self.ledger = Ledger(redis, lease_seconds=settings.lease_seconds)
        self.queries = Queries(redis)
        self.broker = Broker(celery, redis)
        self.store = store_of(settings)
        self.reusing = Reusing(KeptResults(redis, self.store, settings.reuse_bytes))
        self.registry = Registry(redis)
        self.webhooks = Webhooks(self.ledger, settings)
        self.leases = LeaseKeeper(self.ledger, kind, threads=threads, slice_seconds=settings.slice_seconds)
        self.runner = Runner(self.ledger, self.broker, self.leases, Gate(), self.identity)
        self.sweeper = Sweeper(self.ledger, self.broker, self.webhooks, settings, worker=name)
        self.tidier = Tidier(self.ledger, self.store, settings, worker=name)
        self.engine: WorkerEngine | None = None
        self.scheduler: BatchScheduler[Any, Any] | None = None
        self.handlers: dict[str, Handler] = {}
        self._ended = threading.Event()
        self._build_engine()
        self.watchdog = self._watchdog()
        self.reporter = Reporter(self)

    def _build_engine(self) -> None:
        # Late imports: a process loads the libraries of its own kind only.
        settings = self.settings
        match self.kind:
            case "tts":
                from workers.chapters import ChapterSpeaker
                from workers.speaking import Speaker
                from workers.turns import Turns
                from workers.voices import CANDIDATES, VoiceEngine
                from workers.writers import Writers

                voices = VoiceEngine(settings)
                rows = voices.good_rows(self._arithmetic_threads)
                speaking = self._add_engine(voices, settings.tts_batch_frames, rows)
                window = 2 * rows
                turns = Turns(enough=CANDIDATES * rows, writers=max(1, count_cores() - self._arithmetic_threads))
                texts = Speaker(voices, speaking, self.store, self.reusing, window)
                chapters = ChapterSpeaker(voices, speaking, self.store, self.reusing, turns, Writers(), window)
                self.handlers["tts"] = lambda session: (chapters if session.job.kind is Kind.CHAPTER else texts)(
                    session
                )
            case "stt":
                from workers.listening import Listener
                from workers.recognizers import LINGER_SHARE, LINGER_TIMES, RecognizerEngine

                recognizer = RecognizerEngine(settings, threads=self._arithmetic_threads)
                rows = recognizer.good_rows()
                listening = self._add_engine(
                    recognizer, sys.maxsize, rows, linger_times=LINGER_TIMES, linger_share=LINGER_SHARE
                )
                window = 2 * rows
                self.handlers["stt"] = Listener(recognizer, listening, self.store, self.reusing, settings, window)
            case "cpu":
                from workers.families import parent_handlers

                self.handlers |= parent_handlers(Family(self.ledger, self.queries, self.broker), self.store, settings)

    def _add_engine(
        self,
        engine: WorkerEngine,
        max_cost: int,
        max_rows: int,
        *,
        linger_times: float = 1.0,
        linger_share: float = 0.5,
    ) -> BatchScheduler[Any, Any]:
        self.engine = engine
        self.scheduler = BatchScheduler(
            engine,
            max_cost=max_cost,
            max_rows=max_rows,
            max_stretch=math.inf,  # neither engine pads
            linger_seconds=linger_times * self.settings.linger_ms / 1000,
            linger_share=linger_share,
            name=f"{self.kind}-engine",
            idle_unload_seconds=self.settings.idle_unload_seconds or None,
            on_broken=self._engine_broke,
        )
        return self.scheduler

    def start(self) -> None:
        """Load the model, then start everything else. Ends the process with a clear line if the model cannot run."""
        if self.settings.traces:
            try:
                tracing.start(f"voxqueue-{self.kind}")
            except RuntimeError as error:
                sys.exit(f"voxqueue: worker {self.name} cannot start: {error}")
        cap_threads(self._arithmetic_threads)
        sys.setswitchinterval(SWITCH_SECONDS)
        self.ledger.check_schema()
        self.reusing.kept.trim()
        if self.scheduler is not None:
            self.scheduler.start()
            try:
                self.scheduler.wait_ready()
            except EngineBroken as error:
                cause = error.__cause__ or error
                if not isinstance(cause, SpeechError):
                    log.critical("the engine could not be started", exc_info=cause)
                sys.exit(f"voxqueue: worker {self.name} cannot start: {cause}")
        if self.engine is not None:
            self.engine.warm_up_tasks()
        self.registry.enter_process(self.identity)
        self.leases.start()
        self.sweeper.start()
        self.tidier.start()
        self.watchdog.start()
        self.reporter.start()
        log.info("worker %s is ready: %s", self.name, _told(self.reporter.report()))

    def run(self, task: str, job_id: str, sequence: int) -> str:
        """Do a delivery of a task; see `Runner.run`."""
        with about(job_id), tracing.running(job_id, task, **{"voxqueue.worker": self.name}):
            return self.runner.run(job_id, sequence, self.handlers[task])

    def drain(self) -> None:
        """Ask all jobs in hand to give up at the next unit; called at SIGTERM."""
        log.info("worker %s drains: %d jobs in hand", self.name, len(self.leases))
        self.leases.drain()
        _in_seconds(self.settings.drain_seconds * BATCH_SHARE, self._cut_batch)
        # Whatever happens, the process ends before the supervisor loses patience and kills it.
        _in_seconds(self.settings.drain_seconds, self._end_now, "the drain took too long")

    def stop(self) -> None:
        """End the threads in order, after the last task."""
        self._ended.set()
        self.watchdog.stop()
        self.reporter.stop()
        self.tidier.stop()
        self.sweeper.stop()
        self.leases.stop()
        try:
            self.registry.leave_process(self.identity)
        except RedisError as error:  # sweepers will find that the process is gone
            log.warning("withdrawing from the list of processes failed: %s", error)
        if self.scheduler is not None:
            self.scheduler.stop(drain=False, timeout=5)
        tracing.stop()
        log.info("worker %s has ended", self.name)
        # Exit handlers of libraries (CUDA, OpenMP) may hang; nothing of ours waits for them.
        _in_seconds(5, self._end_now, "the interpreter did not end", 0)

    def _cut_batch(self) -> None:
        """Leave the rows of the running batch that are not begun to the next process."""
        if self.scheduler is not None:
            self.scheduler.stop(drain=False, timeout=0)

    def _engine_broke(self, error: BaseException) -> None:
        if not self._ended.is_set() and self.reporter.started:
            self._end_now(f"the engine broke: {type(error).__name__}: {error}")

    def _end_now(self, reason: str, status: int = 1) -> None:
        log.critical("worker %s ends at once: %s", self.name, reason)
        logging.shutdown()
        os._exit(status)

    def _watchdog(self) -> Watchdog:
        settings, leases = self.settings, self.leases
        deaf = ConsumerDeaf(
            waiting=lambda: 0 if leases.draining else sum(self.queries.waiting(self.kind).values()),
            heard=lambda: self.runner.heard,
            has_room=lambda: len(leases) < self._threads,
            # A lost message is sent again after `lost_seconds`; only if that is not heard either, we are deaf.
            limit_seconds=3 * settings.lost_seconds,
        )
        checks: list[Check] = [deaf]
        if self.scheduler is not None:
            checks.append(EngineStalled(self.scheduler.pulse, settings.watchdog_seconds))
        # Longer than any model load that holds the interpreter's lock.
        return Watchdog(checks, frozen_seconds=max(600, 5 * settings.watchdog_seconds))


def _in_seconds(seconds: float, work: Callable[..., None], *args: Any) -> None:
    timer = threading.Timer(seconds, work, args)
    timer.daemon = True
    timer.start()


TOLD = ("device", "device_name", "precision", "compute_type", "engine", "model", "load_seconds", "warmup_seconds")
"""What the line at the start tells of a worker's report."""


def _told(report: dict[str, Any]) -> str:
    return ", ".join(f"{name}={report[name]}" for name in TOLD if report.get(name) is not None)
