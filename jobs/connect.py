"""Redis clients with the same options everywhere."""

from __future__ import annotations

from typing import Any

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

RedisClient = Any
"""redis-py types every answer as a union of sync and async, bytes and str; which it is, only the call knows."""

MOST_CONNECTIONS = 64
"""Of one client at once."""


def connect(url: str, *, timeout: float = 5, retries: int = 3, decode: bool = True) -> RedisClient:
    """Return a client that decodes to str (or not), times out, and repeats a call whose connection broke.

    The ledger's scripts are idempotent, so a repeated call is harmless. `rediss://` is TLS. Connects lazily.
    Who finds all `MOST_CONNECTIONS` in use waits for one (redis-py's own pool would fail: 200 event streams that hear
    of a change at once are no outage).
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MOST_CONNECTIONS,
        timeout=timeout,
        decode_responses=decode,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        health_check_interval=15,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), retries),
    )
    return Redis.from_pool(pool)
