"""Redis clients with the same options everywhere, and the same address for Celery.

An address is `redis://`, `rediss://` (TLS) or, where sentinels choose the primary among several servers,

    sentinel://user:password@host1:26379,host2:26379,host3:26379/0?master=NAME

(`sentinels://` with TLS, to the servers and to the sentinels; `&sentinel_password=` where those have one). What TLS
needs beyond the system's authorities stands in the query: `ssl_ca_certs`, and a client's `ssl_certfile` and
`ssl_keyfile`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from redis import BlockingConnectionPool, Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPoolProxy,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

RedisClient = Any
"""redis-py types every answer as a union of sync and async, bytes and str; which it is, only the call knows."""

MOST_CONNECTIONS = 64
"""Of one client at once."""
SENTINEL_PORT = 26379
SENTINEL_SECONDS = 1.0
"""How long one of several sentinels may take to answer before the next one is asked."""
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class BadAddress(ValueError):
    """VOXQUEUE_REDIS_URL cannot be read. Says why, without the password."""


@dataclass(frozen=True)
class Address:
    """What an address says, apart from a plain one's host and port."""

    url: str
    """As it was given, without what TLS needs."""
    tls: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of redis-py's TLS connections; empty: no TLS."""
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str = ""
    sentinel_password: str | None = None
    username: str | None = None
    password: str | None = None
    database: int = 0

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read an address. Raises `BadAddress`."""
        scheme, rest = url.partition("://")[::2]
        query = dict(parse_qsl(urlsplit(url).query))
        tls: dict[str, Any] = {name: query.pop(name) for name in TLS_FILES if name in query}
        if scheme in {"rediss", "sentinels"}:
            tls |= {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
        elif tls:
            raise BadAddress(f"VOXQUEUE_REDIS_URL: {', '.join(tls)} need rediss:// or sentinels://, not {scheme}://")
        if scheme not in {"sentinel", "sentinels"}:
            more = "&".join(f"{name}={quote(value)}" for name, value in query.items())
            return cls(url.partition("?")[0] + (f"?{more}" if more else ""), tls)
        login, _, hosts = rest.partition("?")[0].partition("/")[0].rpartition("@")
        username, _, password = login.partition(":")
        database = urlsplit(url).path.strip("/") or "0"
        if not hosts or not query.get("master") or not database.isdigit():
            raise BadAddress(
                "VOXQUEUE_REDIS_URL: an address of sentinels is "
                f"{scheme}://user:password@host1:26379,host2:26379/0?master=NAME"
            )
        return cls(
            f"{scheme}://{hosts}/{database}",
            tls,
            tuple(_host_and_port(host) for host in hosts.split(",")),
            query["master"],
            query.get("sentinel_password"),
            unquote(username) or None,
            unquote(password) or None,
            int(database),
        )

    def for_celery(self) -> dict[str, Any]:
        """Return `broker_url`, `broker_use_ssl` and, beside those that all addresses need, transport options."""
        use_ssl = dict(self.tls) or None
        if not self.sentinels:
            return {"broker_url": self.url, "broker_use_ssl": use_ssl, "options": {}}
        login = f"{quote(self.username or '', safe='')}:{quote(self.password, safe='')}@" if self.password else ""
        hosts = [f"sentinel://{login}{host}:{port}/{self.database}" for host, port in self.sentinels]
        options = {"master_name": self.master, "sentinel_kwargs": self.of_sentinels(SENTINEL_SECONDS)}
        return {"broker_url": ";".join(hosts), "broker_use_ssl": use_ssl, "options": options}

    def of_sentinels(self, timeout: float) -> dict[str, Any]:
        """Return the arguments of clients of the sentinels."""
        return {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "password": self.sentinel_password,
            "retry": Retry(NoBackoff(), 0),  # there are others to ask
            **({"ssl": True} if self.tls else {}),
            **self.tls,
        }


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if ":" in text else (text, "", str(SENTINEL_PORT))
    if not host or not port.isdigit():
        raise BadAddress(f"VOXQUEUE_REDIS_URL: {text!r} is not a sentinel's host:port")
    return host, int(port)


class SentinelPool(BlockingConnectionPool):
    """Connections to the primary; each asks the sentinels which server that is when it connects."""

    def __init__(self, address: Address, **options: Any) -> None:
        asked: Any = Sentinel  # redis-py's sentinels have no types
        proxy: Any = SentinelConnectionPoolProxy
        sentinels = asked(address.sentinels, sentinel_kwargs=address.of_sentinels(SENTINEL_SECONDS))
        kind = SentinelManagedSSLConnection if address.tls else SentinelManagedConnection
        self._proxy = proxy(
            connection_pool=self,
            is_master=True,
            check_connection=True,
            service_name=address.master,
            sentinel_manager=sentinels,
        )
        super().__init__(  # type: ignore[no-untyped-call]
            connection_class=kind,
            connection_pool=self._proxy,
            username=address.username,
            password=address.password,
            db=address.database,
            **address.tls,
            **options,
        )

    def reset(self) -> None:
        """See `ConnectionPool.reset`."""
        super().reset()  # type: ignore[no-untyped-call]
        self._proxy.reset()


def connect(url: str, *, timeout: float = 5, retries: int = 3, decode: bool = True) -> RedisClient:
    """Return a client that decodes to str (or not), times out, and repeats a call whose connection broke.

    The ledger's scripts are idempotent, so a repeated call is harmless. Connects lazily.
    Who finds all `MOST_CONNECTIONS` in use waits for one (redis-py's own pool would fail: 200 event streams that hear
    of a change at once are no outage). Raises `BadAddress`.
    """
    address = Address.parse(url)
    options: dict[str, Any] = {
        "max_connections": MOST_CONNECTIONS,
        "timeout": timeout,
        "decode_responses": decode,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), retries),
    }
    if address.sentinels:
        return Redis.from_pool(SentinelPool(address, **options))
    return Redis.from_pool(BlockingConnectionPool.from_url(address.url, **address.tls, **options))
