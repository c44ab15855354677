"""Sessions of the web page: EventSource and audio elements cannot send headers, cookies they can."""

from __future__ import annotations

import secrets

from app.keys import digest_of
from jobs.connect import RedisClient
from jobs.ledger import PREFIX

COOKIE = "voxqueue_session"
SESSION_SECONDS = 12 * 3600
"""A session ends then, or when its key is taken from the server."""


def _record(token: str) -> str:
    return f"{PREFIX}session:{digest_of(token)}"  # a reader of Redis learns no usable token


def begin_session(redis: RedisClient, key_digest: str) -> str:
    """Return the token of a new session of a key."""
    token = secrets.token_urlsafe(32)
    redis.set(_record(token), key_digest, ex=SESSION_SECONDS)
    return token


def session_digest(redis: RedisClient, token: str) -> str | None:
    """Return the digest of the key that began a session, None if there is no such session."""
    found: str | None = redis.get(_record(token))
    return found


def end_session(redis: RedisClient, token: str) -> None:
    """End a session; ending it twice is fine."""
    redis.delete(_record(token))
