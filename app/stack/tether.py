"""Run a command that cannot outlive the process that started it: `python tether.py MEMBERS_FILE COMMAND...`.

Run as a file, so that nothing but the standard library is imported. Linux sends the command SIGTERM when its parent
dies, however that dies (elsewhere this does nothing); and the command holds a shared lock on MEMBERS_FILE until its
end. Both survive `exec`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PARENT = "VOXQUEUE_TETHERED_TO"
"""The process ID that a tethered command expects as its parent: it may have died before the command began."""


def die_with_parent(parent: int) -> None:
    """Have SIGTERM sent to this process when its parent ends; end at once if it has ended already."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):  # no prctl: not Linux
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(143)


def hold(path: str) -> None:
    """Hold a shared lock on `path` in this process and in what it becomes."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_SH)
    os.set_inheritable(file, True)


def main() -> None:
    """Tie, hold, become."""
    members, *command = sys.argv[1:]
    die_with_parent(int(os.environ.get(PARENT, os.getppid())))
    hold(members)
    os.environ[PARENT] = str(os.getpid())  # the parent of what the command will start
    os.execvp(command[0], command)  # noqa: S606 - the stack wrote the command


if __name__ == "__main__":
    main()
