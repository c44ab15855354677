"""Writing to the ledger while Redis is away: what was computed is not thrown away for an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from redis import RedisError
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import TimeoutError as RedisSlow

log = logging.getLogger(__name__)
T = TypeVar("T")
LONGEST_PAUSE = 2.0
AWAY = (RedisAway, RedisSlow)
"""How redis-py says that the server cannot be reached, apart from what the server itself refuses."""


def insist(call: Callable[[], T], what: str) -> T:
    """Return the answer of `call`, repeated for as long as Redis is away. The ledger's scripts may be repeated.

    The lease may be lost by then: the script says so, and nothing is written twice.
    """
    pause = 0.1
    while True:
        try:
            return call()
        except RedisError as error:
            log.warning("%s: Redis failed (%s); again in %.1f s", what, error, pause)
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
