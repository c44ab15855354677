"""Addresses that clients name: only the public network, unless the operator opens a private one.

`check_url` looks at the text of a URL and resolves nothing: the door can afford it. What a name resolves to, and where
a server redirects to, is checked where the URL is opened: `fetch` connects to the very address that it has checked, so
that a name server cannot tell another one in between.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING
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
    return address.is_global and not address.is_multicast and not address.is_reserved


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
        host, _ = (parts.hostname or "").rstrip("."), parts.port
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

    end = time.monotonic() + max_seconds
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    # No proxy of the environment: it would resolve the name anew, and reach what this host must not.
    with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client, _as_fetch_error(url):
        for _ in range(MOST_REDIRECTS + 1):
            with closing(client.send(_request(client, url, settings.allowed_networks), stream=True)) as answer:
                if answer.is_redirect and "location" in answer.headers:
                    url = urljoin(url, answer.headers["location"])
                    continue
                yield from _body(answer, max_bytes, end)
                return
        raise FetchError("url_unreachable", f"url: more than {MOST_REDIRECTS} redirects")


def _body(answer: httpx.Response, max_bytes: int, end: float) -> Iterator[bytes]:
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
            if time.monotonic() > end:
                raise FetchError("url_too_slow", "url: the download takes too long")
            yield chunk
    if total > max_bytes:
        raise FetchError("url_too_large", f"url: more than {max_bytes} bytes (VOXQUEUE_MAX_UPLOAD_BYTES)")


@contextmanager
def _as_fetch_error(url: str) -> Iterator[None]:
    import httpx

    host = urlsplit(url).hostname
    try:
        yield
    except BlockedUrl as error:
        raise FetchError("url_blocked", f"url: {error}") from error
    except httpx.TimeoutException as error:
        raise FetchError("url_too_slow", f"url: {host} does not answer in time") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
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
    with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client, _as_fetch_error(url):
        request = _request(client, url, settings.allowed_networks, "POST", body, headers)
        with closing(client.send(request, stream=True)) as answer:
            return answer.status_code


def _request(
    client: httpx.Client,
    url: str,
    allowed_networks: str,
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
        headers={"Host": parts.netloc, "Accept-Encoding": "identity", "User-Agent": "voxqueue", **(headers or {})},
        content=body,
        extensions={"sni_hostname": host},
    )
