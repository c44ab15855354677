"""What keeps one slow call from holding up all greenlets of a web process."""

from __future__ import annotations

import os

from gevent import get_hub


def fsync_in_threads() -> None:
    """Let `os.fsync` wait in a thread: gevent knows sockets, but a disk that takes its time would stop everybody."""
    blocking = os.fsync

    def fsync(descriptor: int) -> None:
        get_hub().threadpool.apply(blocking, (descriptor,))

    os.fsync = fsync  # type: ignore[assignment]
