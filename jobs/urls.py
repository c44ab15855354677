"""Addresses that clients name: only the public network, unless the operator opens a private one.

`check_url` looks at the text of a URL and resolves nothing: the door can afford it. What a name resolves to, and where
a server redirects to, is checked where the URL is opened: `fetch` connects to the very address that it has checked, so
that a name server cannot tell another one in between.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit, urlunsplit

from jobs.errors import JobsError
from jobs.settings import Settings

if TYPE_CHECKING:
    import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_SUFFIXES = (
    ".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa", ".localdomain",
)  # fmt: skip
"""Names that belong to one network only, such as a cloud's `metadata.google.internal`."""
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
OF_THE_CLOUD = frozenset({ipaddress.IPv4Address("168.63.129.16")})
"""Global by their numbers, but a service for the machine itself: Azure's wire server."""
MOST_REDIRECTS = 5
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
FETCH_SECONDS = 3600.0
"""Of one download in all."""


POST_SECONDS = 15
"""How long a webhook may take to answer."""


class BlockedUrl(ValueError):
    """A URL that must not be opened; the message says why and what to do."""


class FetchError(JobsError):
    """What `url` or `store` names could not be fetched: blocked, unreachable, refused, too large, too slow."""


def parse_networks(text: str) -> tuple[Network, ...]:
    """Return the networks of `VOXQUEUE_ALLOWED_NETWORKS`. Raises `ValueError` that names the wrong one."""
    found: list[Network] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise ValueError(f"VOXQUEUE_ALLOWED_NETWORKS: {part!r} is no network such as 10.1.0.0/16") from error
    return tuple(found)


def is_public(address: Address, allowed: tuple[Network, ...] = ()) -> bool:
    """Whether an address may be connected to: it is global, or in an allowed network."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, ipaddress.IPv6Address) and (inner := _embedded(address)) is not None:
        return is_public(inner, allowed)
    if isinstance(address, ipaddress.IPv6Address) and address.is_site_local:  # which Python takes for global
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in OF_THE_CLOUD


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address to which this one leads."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


def literal_address(host: str) -> Address | None:
    """Return the address that a host is, None for a name. Knows `2130706433`, `0x7f.1` and `0177.0.0.1`, as libc."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:  # not in the usual notation; libc, which opens connections, knows more of them
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):  # in none: it is a name
            return None


def check_url(url: str, allowed_networks: str = "") -> None:
    """Raise `BlockedUrl` unless `url` is http or https, without a password, and not plainly a private address."""
    try:
        parts = urlsplit(url)
        # Digits in circles and full-width dots are what they look like, as soon as the name is resolved.
        host, _ = unicodedata.normalize("NFKC", parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise BlockedUrl(f"is no URL: {error}") from error
    if parts.scheme not in {"http", "https"}:
        raise BlockedUrl("must begin with http:// or https://")
    if not host:
        raise BlockedUrl("names no host")
    if parts.username is not None or parts.password is not None:
        raise BlockedUrl("must not hold a user or password; use a signed URL")
    allowed = parse_networks(allowed_networks)
    address = literal_address(host)
    if address is not None:
        if not is_public(address, allowed):
            raise BlockedUrl(_private(host))
    elif not allowed and ("." not in host or f".{host}".lower().endswith(PRIVATE_SUFFIXES)):
        raise BlockedUrl(_private(host))


def _private(host: str) -> str:
    return f"{host} is in a private network; use a public address (the operator opens VOXQUEUE_ALLOWED_NETWORKS)"


def fetch(url: str, settings: Settings, max_bytes: int, *, max_seconds: float = FETCH_SECONDS) -> Iterator[bytes]:
    """Yield what is at a URL, as it is sent: nothing is decompressed.

    Follows at most `MOST_REDIRECTS` redirects, each checked as the first address. Raises `FetchError` with the code
    `url_blocked`, `url_unreachable`, `url_status`, `url_too_large` or `url_too_slow`.
    """
    import httpx

    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    # No proxy of the environment: it would resolve the name anew, and reach what this host must not.
    with (
        httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
        Deadline(max_seconds) as deadline,
        _as_fetch_error(url, deadline),
    ):
        for _ in range(MOST_REDIRECTS + 1):
            request = _request(client, url, settings.allowed_networks, deadline)
            with closing(client.send(request, stream=True)) as answer:
                if answer.is_redirect and "location" in answer.headers:
                    url = urljoin(url, answer.headers["location"])
                    continue
                yield from _body(answer, max_bytes, deadline)
                return
        raise FetchError("url_unreachable", f"url: more than {MOST_REDIRECTS} redirects")


class Deadline:
    """Ends a connection when its time is over, whatever it is doing.

    httpx's own times are for each single read: a server that sends a byte of its headers now and then would hold a
    thread for weeks.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._connection: socket.socket | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, event: str, facts: Mapping[str, Any]) -> None:
        """Note the connection that httpx opens (its `trace` extension)."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._connection = facts["return_value"].get_extra_info("socket")
            if self.is_over:
                self._cut()

    def _cut(self) -> None:
        self.is_over = True
        if self._connection is not None:
            with contextlib.suppress(OSError):  # it has just ended by itself
                self._connection.shutdown(socket.SHUT_RDWR)


def _body(answer: httpx.Response, max_bytes: int, deadline: Deadline) -> Iterator[bytes]:
    if not answer.is_success:
        raise FetchError("url_status", f"url: the server answered {answer.status_code} {answer.reason_phrase}")
    length = answer.headers.get("content-length", "")
    total = int(length) if length.isdigit() else 0
    if total <= max_bytes:
        total = 0
        for chunk in answer.iter_raw():
            total += len(chunk)
            if total > max_bytes:
                break
            yield chunk
    if deadline.is_over:  # a body without a length looks whole when it is cut
        raise FetchError("url_too_slow", "url: the download takes too long")
    if total > max_bytes:
        raise FetchError("url_too_large", f"url: more than {max_bytes} bytes (VOXQUEUE_MAX_UPLOAD_BYTES)")


@contextmanager
def _as_fetch_error(url: str, deadline: Deadline) -> Iterator[None]:
    import httpx

    host = urlsplit(url).hostname
    try:
        yield
    except BlockedUrl as error:
        raise FetchError("url_blocked", f"url: {error}") from error
    except httpx.TimeoutException as error:
        raise FetchError("url_too_slow", f"url: {host} does not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if deadline.is_over:
            raise FetchError("url_too_slow", f"url: {host} takes too long") from error
        raise FetchError("url_unreachable", f"url: {host} cannot be reached: {error}") from error


def pinned_address(host: str, port: int, allowed_networks: str = "") -> str:
    """Resolve a host and return an address that may be connected to.

    Raises `BlockedUrl` if any of its addresses is private, and `OSError` if it has none.
    """
    allowed = parse_networks(allowed_networks)
    found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    for text in found:
        if not is_public(ipaddress.ip_address(str(text).partition("%")[0]), allowed):
            raise BlockedUrl(_private(host))
    return str(found[0])


def post(url: str, settings: Settings, body: bytes, headers: dict[str, str]) -> int:
    """Send `body` to a URL and return the status of the answer, whose body is not read. Redirects are not followed.

    Raises `FetchError` as `fetch` does.
    """
    import httpx

    timeout = httpx.Timeout(POST_SECONDS, connect=CONNECT_SECONDS)
    with (
        httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client,
        Deadline(POST_SECONDS) as deadline,
        _as_fetch_error(url, deadline),
    ):
        request = _request(client, url, settings.allowed_networks, deadline, "POST", body, headers)
        with closing(client.send(request, stream=True)) as answer:
            return answer.status_code


def _request(
    client: httpx.Client,
    url: str,
    allowed_networks: str,
    deadline: Deadline,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Request:
    """Return the request for a URL, addressed to a checked address; the name goes into `Host` and the TLS handshake."""
    import httpx

    check_url(url, allowed_networks)
    parts = urlsplit(url)
    host = httpx.URL(url).raw_host.decode("ascii")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    address = pinned_address(host, port, allowed_networks)
    netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return client.build_request(
        method,
        urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, "")),
        headers={
            "Host": _host_header(host, parts.port),
            "Accept-Encoding": "identity",
            "User-Agent": "voxqueue",
            **(headers or {}),
        },
        content=body,
        extensions={"sni_hostname": host, "trace": deadline.watch},
    )


def _host_header(host: str, port: int | None) -> str:
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
