"""What the routes work with: one ledger, one store, one broker for each process."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Self

from celery import Celery
from flask import current_app
from redis import RedisError

from app.catalogues import Catalogues
from app.keys import Keyring
from app.turnstile import Turnstile
from jobs.broker import Broker
from jobs.connect import Address, RedisClient, connect
from jobs.events import Announcements
from jobs.files import Store
from jobs.ledger import Ledger
from jobs.queries import Queries
from jobs.registry import Registry
from jobs.remote_files import store_of
from jobs.reuse import KeptResults
from jobs.settings import Settings

log = logging.getLogger(__name__)
REDIS_PATIENCE = 3.0
"""Seconds a request waits for Redis before it is answered with 503."""
SUBMITS_AT_ONCE = 8
"""Written down at the same time by one process; less than the ten connections of Celery's pool."""
SUBMIT_PATIENCE = 15.0
"""Seconds a submit waits in line before it is answered with 503."""


@dataclass(frozen=True)
class Services:
    """All that outlives a request. Thread-safe and greenlet-safe."""

    settings: Settings
    keys: Keyring
    redis: RedisClient
    ledger: Ledger
    queries: Queries
    broker: Broker
    store: Store
    kept: KeptResults
    registry: Registry
    catalogues: Catalogues
    announcements: Announcements
    turnstile: Turnstile
    """Before the ledger's writing: a burst of submits waits here in line, and not for connections."""

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Return the services of `settings`; connects to nothing yet."""
        redis = connect(settings.redis_url, timeout=REDIS_PATIENCE, retries=1)
        registry, store = Registry(redis), store_of(settings)
        return cls(
            settings=settings,
            keys=Keyring.read(settings.api_keys),
            redis=redis,
            ledger=Ledger(redis, lease_seconds=settings.lease_seconds),
            queries=Queries(redis),
            broker=Broker(_celery(settings), redis),
            store=store,
            kept=KeptResults(redis, store, settings.reuse_bytes),
            registry=registry,
            catalogues=Catalogues(registry),
            announcements=Announcements(connect(settings.redis_url)),
            turnstile=Turnstile(SUBMITS_AT_ONCE, patience=SUBMIT_PATIENCE),
        )

    def check_ledger(self) -> None:
        """Refuse a ledger of another version; a Redis that is away is no reason not to start."""
        try:
            self.ledger.check_schema()
        except RedisError as error:
            log.warning("Redis does not answer yet (%s); requests that need it get 503 until it does", error)


def _celery(settings: Settings) -> Celery:
    celery = Celery("voxqueue")
    celery.config_from_object("celeryconfig")
    broker = Address.parse(settings.redis_url).for_celery()
    celery.conf.update(broker_url=broker["broker_url"], broker_use_ssl=broker["broker_use_ssl"])
    celery.conf.broker_transport_options = celery.conf.broker_transport_options | broker["options"]
    return celery


def services() -> Services:
    """Return the services of the application that handles this request."""
    found: Services = current_app.extensions["voxqueue"]
    return found
