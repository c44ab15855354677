"""The web process with threads, which the clients of object stores need: gunicorn's own, with an end to slow headers.

gunicorn's threads wait for a request's headers for ever, its gevent workers for `keepalive`. Here threads do, too.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker


class HastySocket:
    """A connection that seems to hang up if what is read is not there `until` then; the rest passes on."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.until: float | None = None
        """In seconds of `time.monotonic`; None: there is no hurry."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def recv(self, size: int) -> bytes:
        """Return what has come, nothing when the time is over."""
        if self.until is not None:
            left = self.until - time.monotonic()
            if left <= 0:
                return b""
            self.connection.settimeout(left)
        try:
            return self.connection.recv(size)
        except TimeoutError:
            if self.until is None:
                raise
            return b""


class Threads(ThreadWorker):  # type: ignore[misc]  # gunicorn publishes no types
    """gunicorn's threads; each request must have its headers there `keepalive` seconds after its first byte."""

    def handle(self, conn: Any) -> Any:
        """Take in a request."""
        if not isinstance(conn.sock, HastySocket):
            conn.sock = HastySocket(conn.sock)
        conn.sock.until = time.monotonic() + self.cfg.keepalive
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose headers are there. How slow its body may be, `app.patience` says."""
        conn.sock.until = None
        return super().handle_request(req, conn)
