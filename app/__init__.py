"""The front end: routes, the web page, the command line client. Thin: it validates, writes down, sends and reads.

Importing it costs nothing: the command line and gunicorn's configuration need some of its modules without the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from jobs.settings import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Return the WSGI application; `settings` are the process's own by default.

    Redis need not be there yet: until it is, requests that need it are answered with 503.

    Raises `app.keys.KeysError` if the keys cannot be read, or if there are none and the address is not loopback, and
    `jobs.errors.SchemaMismatch` if another version of the program wrote the ledger.
    """
    from app.factory import build

    return build(settings)
