"""An end to the patience with clients that send or take next to nothing: each holds a greenlet or a thread.

The time for a request's headers is bounded by `keepalive` (by gunicorn's gevent workers, and by app/threads.py); for
bodies and answers gunicorn waits for ever.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

SILENCE_SECONDS = 60.0
"""No byte of a request's body for so long, or a piece of an answer that is not taken for so long: cut off."""
PATIENCE_SECONDS = 60.0
"""Waited for a body in all, beyond what it would take at `SLOWEST`."""
SLOWEST = 500
"""Bytes a second of an upload."""


class PatientSocket:
    """A connection whose `recv` raises `TimeoutError` for a client that is silent or too slow; the rest passes on."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._waited = 0.0
        self._received = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def recv(self, size: int) -> bytes:
        """Return what has come. Only the waiting is counted, not what is done with the bytes in between."""
        begun = time.monotonic()
        try:
            data = self.connection.recv(size)
        except TimeoutError:
            self._cut()
            raise
        self._waited += time.monotonic() - begun
        self._received += len(data)
        if self._waited > PATIENCE_SECONDS + self._received / SLOWEST:
            self._cut()
            raise TimeoutError("the client sends too slowly")
        return data

    def _cut(self) -> None:
        """Read no more: the rest of the body would be taken for the next request."""
        self.connection.shutdown(socket.SHUT_RD)


def begin(request: Any) -> None:
    """Watch the connection of one of gunicorn's requests."""
    request.unreader.sock.settimeout(SILENCE_SECONDS)
    request.unreader.sock = PatientSocket(request.unreader.sock)


def end(request: Any) -> None:
    """Watch it no more: until the next request it may be silent for as long as `keepalive` says."""
    watched = request.unreader.sock
    if isinstance(watched, PatientSocket):
        watched.settimeout(None)
        request.unreader.sock = watched.connection


class NoStackForSlowClients(logging.Filter):
    """Says in a line that a client took its answer too slowly; gunicorn would write an error with its stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite such a record."""
        if record.exc_info and isinstance(record.exc_info[1], TimeoutError):
            record.exc_info = None
            record.levelno, record.levelname = logging.INFO, "INFO"
            record.msg, record.args = (
                "a client took nothing of its answer for %.0f s and was cut off",
                (SILENCE_SECONDS,),
            )
        return True
