"""gunicorn's configuration, from the settings: `gunicorn --config app/gunicorn_conf.py 'app:create_app()'`.

The workers are gevent's: an event stream or a slow upload costs a greenlet and no thread (docs/decisions/web-server.md
has the measurement). Nothing imported here may bind names of `socket` or `threading` before gevent patches them.

With results in an object store they are threads: its clients bring an asyncio loop in a thread of its own, which gevent
would make a greenlet of. Both take a request's headers for `keepalive` seconds at most.
"""

from __future__ import annotations

from typing import Any

from app.keys import Keyring
from jobs.logs import for_gunicorn
from jobs.settings import settings

MOST_THREADS = 1000
"""Of one process; they are started as they are needed. An open event stream holds one."""

_settings = settings()
Keyring.read(_settings.api_keys).allow_binding(_settings.host)

bind = f"{f'[{_settings.host}]' if ':' in _settings.host else _settings.host}:{_settings.port}"
workers = _settings.web_workers
worker_class = "gevent" if _settings.results in {"disk", "redis"} else "app.threads.Threads"
worker_connections = _settings.web_connections
threads = 1 if worker_class == "gevent" else min(_settings.web_connections, MOST_THREADS)
backlog = 2048

timeout = 60  # a worker whose loop does not turn for so long is replaced; requests may take longer
graceful_timeout = 10  # event streams are cut then, and their clients come back
keepalive = 15

limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

logconfig_dict = for_gunicorn(_settings)
accesslog = None  # Prometheus counts; a proxy logs
proc_name = "voxqueue-web"
control_socket_disable = True  # it would be one for all stacks of a user, in the home folder


def post_worker_init(worker: Any) -> None:
    """Finish a worker after gevent's patches."""
    from app.patience import NoStackForSlowClients
    from app.unread import answer_with_problems

    answer_with_problems(worker.cfg)
    worker.log.error_log.addFilter(NoStackForSlowClients())
    if worker_class == "gevent":
        from app.greenlets import fsync_in_threads

        fsync_in_threads()


def pre_request(worker: Any, req: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Begin to watch how fast a client is."""
    from app import patience

    patience.begin(req)


def post_request(worker: Any, req: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Watch it no more."""
    from app import patience

    patience.end(req)
