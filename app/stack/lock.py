"""One data directory, one stack."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from app.stack.errors import StackError

LOCK = ".lock"
MEMBERS = ".members"


class DirectoryLock:
    """Two locks of one folder: `.lock` is held by the stack, `.members` is shared by each process that it started.

    The second lock outlives a stack that was killed: the next one waits until the last process of the former has
    ended, so that two Valkey servers never write the same files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: IO[str] | None = None

    @property
    def members(self) -> Path:
        """The file that the processes of the stack hold a shared lock on."""
        return self.folder / MEMBERS

    def acquire(self, patience_seconds: float) -> None:
        """Take the folder for this process.

        Raises:
            StackError: another stack has it, or processes of a former one did not end within `patience_seconds`.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        held = (self.folder / LOCK).open("a+", encoding="ascii")
        if not _try_lock(held):
            held.seek(0)
            owner = held.read().strip() or "unknown"
            held.close()
            raise StackError(
                f"{self.folder} is in use by another stack (process {owner}): end it, "
                "or set VOXQUEUE_DATA_DIR to another folder"
            )
        if not self.wait_for_members(patience_seconds):
            held.close()
            raise StackError(
                f"processes of a former stack on {self.folder} are still running after {patience_seconds:.0f} s: "
                f"`fuser -v {self.members}` names them"
            )
        held.truncate(0)
        held.write(str(os.getpid()))
        held.flush()
        self._held = held

    def wait_for_members(self, seconds: float) -> bool:
        """Wait until no process of any stack on the folder is left; tell whether that came to pass."""
        deadline = time.monotonic() + seconds
        with self.members.open("a+", encoding="ascii") as members:
            while not _try_lock(members):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
        return True

    def release(self) -> None:
        """Give the folder back."""
        if self._held is not None:
            self._held.close()
            self._held = None


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
