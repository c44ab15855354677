"""`Stack`: start, watch, disturb and stop the processes of one data directory."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import httpx

from app.stack import environment, procfile, programs, supervision, tether, valkey
from app.stack.aof import Nurse
from app.stack.errors import StackError
from app.stack.lock import DirectoryLock
from app.stack.logs import LogTail, tail

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.05
START_SECONDS = 60
"""How long supervisord and Valkey may take; a long append-only file is read at some 100 MB a second."""


class Stack:
    """Web, workers, Flower and Valkey on one data directory, from `start` (or `with`) to `stop`.

    If the process that started it dies, however hard, all processes end by themselves: supervisord is told by the
    kernel and stops them in order, Valkey last. What dies alone is started again.

    Args:
        data_dir: where everything is kept; a second stack on it is refused.
        port: of the web process; 0: any that is free; None: as the settings say.
        flower_port: the same for Flower.
        env: variables beside or over those of `outer`.
        outer: the environment that all processes begin with; that of this process if not given.
        procfile_path: the processes; the repository's own if not given.
        echo: where to copy the logs of all processes, such as `sys.stdout`; None: only to files.

    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int | None = 0,
        flower_port: int | None = 0,
        env: Mapping[str, str] | None = None,
        outer: Mapping[str, str] | None = None,
        procfile_path: Path = ROOT / "Procfile",
        echo: TextIO | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).expanduser().resolve()
        self._outer = {**(os.environ if outer is None else outer), **(env or {})}
        self._settings = environment.settings_of(self._outer)
        self._ports = (port, flower_port)
        self._procfile_path = procfile_path
        self._echo = echo
        self._lock = DirectoryLock(self.data_dir)
        self._addresses: environment.Addresses | None = None
        self._scratch: Path | None = None
        self._supervisord: subprocess.Popen[bytes] | None = None
        self._tail: LogTail | None = None

    # --- where it is

    @property
    def addresses(self) -> environment.Addresses:
        """Where it listens; known once it is started."""
        if self._addresses is None:
            raise StackError("the stack is not started")
        return self._addresses

    @property
    def url(self) -> str:
        """Of the page and the API, without a slash at its end."""
        return self.addresses.web

    @property
    def flower_url(self) -> str:
        """Of Flower."""
        return self.addresses.flower

    @property
    def redis_url(self) -> str:
        """Of the broker and the ledger."""
        return self.addresses.redis

    @property
    def run_dir(self) -> Path:
        """Folder of scripts, logs (`NAME.log`) and `stack.json`."""
        return self.data_dir / ".run"

    # --- from start to stop

    def start(self) -> None:
        """Start everything and return when Valkey answers; the others are then starting (see `wait_ready`).

        Raises:
            StackError: with the reason; nothing is left running then.

        """
        commands = procfile.read(self._procfile_path)
        group = programs.plan(commands, self._settings.slots)
        self._lock.acquire(patience_seconds=self.grace_seconds + 10)
        try:
            self._addresses = environment.choose_addresses(self._outer, port=self._ports[0], flower_port=self._ports[1])
            self._launch(group)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop everything: first the programs, who finish what they are at (`VOXQUEUE_DRAIN_SECONDS`), then Valkey."""
        pids = self._pids_or_none()
        supervisord = self._supervisord
        if supervisord is not None:
            supervisord.terminate()
            try:
                supervisord.wait(2 * self.grace_seconds + 10)
            except subprocess.TimeoutExpired:
                _kill(supervisord, pids)
            self._lock.wait_for_members(self.grace_seconds)  # at once, unless somebody had killed the supervisor
        self._clean_up()

    def stop_now(self) -> None:
        """Kill everything at once, as a power cut would; what was running is recovered at the next start."""
        if self._supervisord is not None:
            _kill(self._supervisord, self._pids_or_none())
        self._clean_up()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def grace_seconds(self) -> int:
        """How long a process may take to end before it is killed: more than a drain."""
        return int(self._settings.drain_seconds) + 15

    # --- watching

    def is_alive(self) -> bool:
        """Tell whether the supervisor is running."""
        return self._supervisord is not None and self._supervisord.poll() is None

    def is_ready(self) -> bool:
        """Tell whether the web process answers, reaches Redis and sees a live worker of each kind."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def wait_ready(self, timeout: float = 120) -> None:
        """Return when `is_ready`.

        Raises:
            StackError: not within `timeout` seconds, or the supervisor ended; with the last lines of each log.

        """
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if not self.is_alive():
                raise StackError(f"the supervisor ended; its log:\n{tail(self.run_dir / 'supervisord.log')}")
            if time.monotonic() > deadline:
                raise StackError(f"not ready after {timeout:.0f} s.\n{self.report()}")
            time.sleep(POLL_SECONDS)

    def processes(self) -> dict[str, int]:
        """Return the process ID of each program that is running, by name."""
        found = {
            name: info["pid"]
            for name, info in self._client().processes().items()
            if info["statename"] in supervision.ALIVE
        }
        if self._supervisord is not None:
            for pid in found.values():
                supervision.wait_until_spawned(pid, self._supervisord.pid)
        return found

    def states(self) -> dict[str, str]:
        """Return supervisord's state of each program: RUNNING, BACKOFF, ...; by name."""
        return {name: info["statename"] for name, info in self._client().processes().items()}

    def log(self, name: str, lines: int = 50) -> str:
        """Return the last lines that a program wrote."""
        return tail(self.run_dir / f"{name}.log", lines)

    def report(self) -> str:
        """Return the state and the last lines of each program, for people."""
        parts = [f"--- {name}: {state}\n{self.log(name, 30)}" for name, state in self.states().items()]
        return "\n".join(parts)

    # --- disturbing

    def kill(self, name: str, signum: int = signal.SIGKILL) -> int:
        """Send a signal to a program and return the process ID that it went to.

        Raises:
            StackError: no such program is running.

        """
        running = self.processes()
        if name not in running:
            raise StackError(f"{name!r} is not running; these are: {', '.join(running)}")
        os.kill(running[name], signum)
        return running[name]

    def wait_replaced(self, name: str, old_pid: int, timeout: float = 60) -> int:
        """Return the ID of the process that took the place of `old_pid`.

        Raises:
            StackError: none did within `timeout` seconds.

        """
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            pid = self.processes().get(name, old_pid)
            if pid != old_pid:
                return pid
            time.sleep(POLL_SECONDS)
        raise StackError(f"{name} was not replaced within {timeout:.0f} s:\n{self.log(name)}")

    def stop_process(self, name: str) -> None:
        """Stop one program with SIGTERM and leave it stopped; returns when it has ended."""
        self.processes()  # a signal must not come too early, see wait_until_spawned
        self._client().stop(name)

    def start_process(self, name: str) -> None:
        """Start a program that was stopped."""
        self._client().start(name)

    def restart(self, name: str) -> None:
        """Stop one program with SIGTERM, wait for its end, and start it again."""
        self.stop_process(name)
        self.start_process(name)

    # --- inner parts

    def _launch(self, group: list[programs.Program]) -> None:
        # A short way to the data directory: socket paths end at some 100 characters, and supervisord expands what
        # follows a percent sign in its configuration, now once, now twice.
        self._scratch = Path(tempfile.mkdtemp(prefix="voxqueue-"))
        near = self._scratch / "data"
        near.symlink_to(self.data_dir)
        layout = supervision.Layout(
            root=ROOT,
            run=near / self.run_dir.name,
            members=near / self._lock.members.name,
            socket=self._scratch / "supervisor",
        )
        first = []
        nurse = Nurse(self.data_dir / "valkey", self.run_dir / f"{valkey.NAME}.log")
        if self.addresses.valkey_port is not None:
            first.append(
                valkey.program(self.data_dir / "valkey", self.addresses.valkey_port, self._settings.appendfsync)
            )
        else:
            valkey.wait_until_up(self.redis_url, 5, "the server of VOXQUEUE_REDIS_URL")
        supervision.write(layout, first, group, grace=self.grace_seconds)
        if self._echo is not None:
            names = [program.name for program in group]
            self._tail = LogTail(self.run_dir, names, self._echo, self._settings.log_format)
            self._tail.start()
        self._supervisord = subprocess.Popen(  # noqa: S603 - our own command
            supervision.command(layout),
            env={
                **environment.environment(self._outer, root=ROOT, data_dir=self.data_dir, addresses=self.addresses),
                tether.PARENT: str(os.getpid()),
            },
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C comes to us alone; we stop the others in order
        )
        self._wait_for_supervisor()
        if first:
            valkey.wait_until_up(self.redis_url, START_SECONDS, "the embedded Valkey", nurse.look)
            valkey.insist_on_own(self.redis_url, self.data_dir / "valkey")
            valkey.bring_up_to_date(self.redis_url)
        self._client().start_group()
        self._write_card()

    def _wait_for_supervisor(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not self._client().answers():
            if not self.is_alive() or time.monotonic() > deadline:
                log = tail(self.run_dir / "supervisord.log")
                raise StackError(f"the supervisor does not start; its log:\n{log}")
            time.sleep(POLL_SECONDS)

    def _write_card(self) -> None:
        """Leave a note of where the stack is, for people and scripts."""
        card = {"pid": os.getpid(), "url": self.url, "flower_url": self.flower_url, "redis_url": self.redis_url}
        path = self.run_dir / "stack.json"
        path.touch(mode=0o600)  # a given redis_url may hold a password
        path.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")

    def _client(self) -> supervision.Supervisor:
        if self._scratch is None:
            raise StackError("the stack is not started")
        return supervision.Supervisor(self._scratch / "supervisor")

    def _pids_or_none(self) -> list[int]:
        try:
            return list(self.processes().values())
        except StackError:
            return []

    def _clean_up(self) -> None:
        self._supervisord = None
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        (self.run_dir / "stack.json").unlink(missing_ok=True)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None
        self._lock.release()


def _kill(supervisord: subprocess.Popen[bytes], pids: list[int]) -> None:
    supervisord.kill()  # first, or it would start the others again
    supervisord.wait()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # supervisord makes each program the leader of its group
