"""supervisord: its configuration, made from the programs, and a client for the few calls we need."""

from __future__ import annotations

import os
import resource
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Error, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from app.stack import tether
from app.stack.errors import StackError
from app.stack.programs import Program

GROUP = "voxqueue"
ALIVE = ("RUNNING", "STARTING")

HEAD = """\
[supervisord]
nodaemon=true
silent=true
{user}logfile={run}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={run}/supervisord.pid
childlogdir={run}
minfds={files}

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[group:{group}]
programs={programs}
priority=20
"""

# Backoff: supervisord waits one second more after each start in a row that failed (ended within startsecs), and a
# process that ran longer is started again at once. It never gives up, because what a process waits for may come back.
PROGRAM = """
[program:{name}]
command={command}
priority={priority}
autostart={autostart}
autorestart=true
startsecs={startsecs}
startretries=1000000
stopsignal=TERM
stopwaitsecs={grace}
killasgroup=true
redirect_stderr=true
stdout_logfile={run}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


@dataclass(frozen=True)
class Layout:
    """Where a supervised stack keeps its things."""

    root: Path
    """The working directory of every program."""
    run: Path
    """Scripts, logs, configuration."""
    members: Path
    """The lock file that every process shares."""
    socket: Path
    """Where supervisord listens; short, since socket paths end at some 100 characters."""

    @property
    def config(self) -> Path:
        """The configuration of supervisord."""
        return self.run / "supervisord.conf"


def write(layout: Layout, first: Sequence[Program], group: Sequence[Program], *, grace: int) -> None:
    """Write supervisord's configuration, and one script per program.

    The programs of `first` start with supervisord and stop last, one after the other; those of `group` wait for
    `Supervisor.start_group` and stop together, each within `grace` seconds before it is killed.
    """
    layout.run.mkdir(parents=True, exist_ok=True)
    head = HEAD.format(
        user="user=root\n" if os.getuid() == 0 else "",  # said out loud, or supervisord complains
        run=_escape(layout.run),
        socket=_escape(layout.socket),
        group=GROUP,
        programs=",".join(program.name for program in group),
        files=min(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
    )
    texts = [head]
    for program in (*first, *group):
        script = layout.run / f"{program.name}.sh"
        script.write_text(_script(program, layout.root), encoding="utf-8")
        texts.append(
            PROGRAM.format(
                name=program.name,
                command=_escape(shlex.join(tethered(layout.members, "/bin/sh", str(script)))),
                priority=1 if program in first else 20,
                autostart="true" if program in first else "false",
                startsecs=1 if program in first else 3,
                grace=grace,
                run=_escape(layout.run),
            )
        )
    layout.config.write_text("".join(texts), encoding="utf-8")


def tethered(members: Path, *command: str) -> list[str]:
    """Return `command` as one that ends with its parent and holds `members`."""
    return [sys.executable, "-I", "-S", str(Path(tether.__file__).resolve()), str(members), *command]


def command(layout: Layout) -> list[str]:
    """Return the command of supervisord itself."""
    return tethered(
        layout.members, sys.executable, "-m", "supervisor.supervisord", "--configuration", str(layout.config)
    )


class Supervisor:
    """A client of one running supervisord."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def answers(self) -> bool:
        """Tell whether it is up."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except StackError:
            return False

    def start_group(self) -> None:
        """Start the programs that wait for what came first; returns at once."""
        self._call("startProcessGroup", GROUP, False)

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return what supervisord knows of each program: `statename`, `pid`, `spawnerr`, ..., by name."""
        return {info["name"]: info for info in self._call("getAllProcessInfo")}

    def stop(self, name: str) -> None:
        """Stop one program; returns when it has ended."""
        self._call("stopProcess", self._full(name))

    def start(self, name: str) -> None:
        """Start one program; returns when it has started."""
        self._call("startProcess", self._full(name), False)

    def _full(self, name: str) -> str:
        infos = self.processes()
        if name not in infos:
            raise StackError(f"no process {name!r} in this stack; there are {', '.join(infos)}")
        return f"{infos[name]['group']}:{name}"

    def _call(self, method: str, *arguments: Any) -> Any:
        # A connection each, so that any thread may call.
        transport = SupervisorTransport(None, None, f"unix://{self.socket}")
        proxy: Any = ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, Error, HTTPException) as error:
            raise StackError(f"the supervisor does not do {method}: {error}") from error
        finally:
            transport.close()


def wait_until_spawned(pid: int, supervisord_pid: int, seconds: float = 5) -> None:
    """Return when a new process is no longer a copy of supervisord that is about to become its program.

    Such a copy still has supervisord's signal handlers: a SIGTERM in those milliseconds is noted and forgotten, and the
    program then runs until it is killed at the end of its grace.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and _command_line(pid) == _command_line(supervisord_pid) != b"":
        time.sleep(0.005)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # ended, or a system without /proc
        return b""


def _script(program: Program, root: Path) -> str:
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in program.env.items())
    return f"# {program.name}, written by the stack\ncd {shlex.quote(str(root))}\n{exports}{program.command}\n"


def _escape(text: object) -> str:
    return str(text).replace("%", "%%")
