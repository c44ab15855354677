"""Who may come in, and whose jobs they see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request

from app.keys import PUBLIC, Key, Role, is_loopback
from app.problems import Refusal
from app.services import services
from app.sessions import COOKIE, session_digest
from jobs.answers import Limits

View = TypeVar("View", bound=Callable[..., Any])
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_PAGES = frozenset({"same-origin", "none"})
"""What browsers say of requests that a page of this server makes, or a person by the address bar."""


@dataclass(frozen=True)
class Identity:
    """Who asks."""

    owner: str
    role: Role
    limits: Limits
    """On what waits of this owner."""

    @property
    def sees(self) -> str | None:
        """Owner whose jobs are seen; None: all of them."""
        return None if self.role == "admin" else self.owner


def identity() -> Identity:
    """Return who makes this request."""
    found: Identity = g.identity
    return found


def open_to_all(view: View) -> View:
    """Mark a view that needs no key: health, documentation, the page itself."""
    view.open_to_all = True  # type: ignore[attr-defined]  # a mark on a function
    return view


def for_admins() -> None:
    """Refuse everybody but admins."""
    if identity().role != "admin":
        raise Refusal(403, "admin_only", "this needs a key with the role admin")


def bearer() -> str | None:
    """Return the key of the `Authorization` header."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" and secret.strip() else None


def _check() -> None:
    """Let a request in, or refuse it."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None:
        return  # not found, which needs no key
    keys = services().keys
    if not keys.required:
        _only_from_here()
        g.identity = Identity(PUBLIC, "admin", _limits({}))
        return
    _same_origin()
    key = _presented_key()
    if key is not None:
        g.identity = Identity(key.owner, key.role, _limits(key.limits))
    elif not getattr(view, "open_to_all", False) and request.endpoint != "static":
        raise Refusal(
            401,
            "key_needed",
            "send `Authorization: Bearer KEY` with a key of this server",
            headers={"WWW-Authenticate": 'Bearer realm="voxqueue"'},
        )


def _limits(own: Mapping[str, int]) -> Limits:
    """Return a key's limits: those of its own, else those of the settings for every owner."""
    settings = services().settings
    general = {
        "queued": settings.max_waiting_per_owner,
        "characters": settings.max_waiting_characters_per_owner,
        "seconds": settings.max_waiting_seconds_per_owner,
    }
    return Limits(**{**general, **own})


def _presented_key() -> Key | None:
    keys = services().keys
    secret = bearer()
    if secret is not None:
        return keys.find(secret)
    cookie = request.cookies.get(COOKIE)
    digest = session_digest(services().redis, cookie) if cookie else None
    return keys.find_digest(digest) if digest else None


def _only_from_here() -> None:
    """Without keys, refuse what another site's page makes the browser of this machine ask for."""
    host = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(host):
        raise Refusal(
            403,
            "loopback_only",
            f"this server has no API keys and answers to localhost only, not to {host[:100]!r}; set VOXQUEUE_API_KEYS",
        )
    _same_origin()


def _same_origin() -> None:
    """Refuse what another page makes a browser do; a sibling domain's and another port's count as other pages."""
    if request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site", "none") not in OWN_PAGES:
        raise Refusal(403, "cross_site", "another site's page may not change anything here")


def register(app: Flask) -> None:
    """Check every request of `app`."""
    app.before_request(_check)
