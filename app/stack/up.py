"""`voxqueue up`: run the stack until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import click

from app.stack import tether
from app.stack.aof import find_damage
from app.stack.environment import settings_of
from app.stack.errors import StackError
from app.stack.lock import DirectoryLock
from app.stack.logs import tail
from app.stack.stack import ROOT, Stack

READY_SECONDS = 60
"""After so long without being ready, the state of each process is told, once."""


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Of the web page and the API; 0: any that is free.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Instead of VOXQUEUE_DATA_DIR.")
@click.option("--procfile", type=click.Path(path_type=Path), default=ROOT / "Procfile", help="Other processes.")
@click.option("--with-parent", is_flag=True, help="End when the process that started this one ends.")
def up(port: int | None, data_dir: Path | None, procfile: Path, *, with_parent: bool) -> None:
    """Run web, workers, Flower and an embedded Valkey on this machine, until Ctrl-C.

    What dies is started again. With VOXQUEUE_REDIS_URL set, that server is used instead of the embedded one.
    """
    if with_parent:
        tether.die_with_parent(os.getppid())
    interrupts = Interrupts()
    try:
        config = settings_of(os.environ)
        stack = Stack(data_dir or config.data_dir, port=port, flower_port=None, procfile_path=procfile, echo=sys.stdout)
        click.echo(f"Starting on {stack.data_dir} (logs in {stack.run_dir}) ...")
        stack.start()
        try:
            _watch(stack, interrupts)
        finally:
            _stop(stack, interrupts)
    except StackError as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), help="Instead of VOXQUEUE_DATA_DIR.")
def mend(data_dir: Path | None) -> None:
    """Cut the embedded server's append-only file off where it is damaged, and keep a copy.

    Jobs that were submitted or ended after that point are forgotten. `voxqueue up` says when this is needed.
    """
    try:
        folder = (data_dir or settings_of(os.environ).data_dir).resolve()
        lock = DirectoryLock(folder)
        lock.acquire(patience_seconds=5)
        damage = find_damage(folder / "valkey")
        click.echo(f"{damage}; the copy is {damage.cut()}" if damage else "It can be read to its end.")
        lock.release()
    except StackError as error:
        raise click.ClickException(str(error)) from error


class Interrupts:
    """Counts Ctrl-C and SIGTERM, and wakes who waits for them."""

    def __init__(self) -> None:
        self.count = 0
        self._event = threading.Event()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup stays nohup
                signal.signal(signum, self._note)

    def _note(self, *_: object) -> None:
        self.count += 1
        self._event.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the first one."""
        return self._event.wait(seconds)


def _watch(stack: Stack, interrupts: Interrupts) -> None:
    """Tell when the stack is ready; return at the first interrupt.

    Raises:
        StackError: the supervisor ended by itself.

    """
    started = time.monotonic()
    is_ready = was_told = False
    while not interrupts.wait(0.2):
        if not stack.is_alive():
            raise StackError(f"the supervisor ended; its log:\n{tail(stack.run_dir / 'supervisord.log')}")
        if not is_ready and stack.is_ready():
            is_ready = True
            _announce(stack, time.monotonic() - started)
        if not is_ready and not was_told and time.monotonic() - started > READY_SECONDS:
            was_told = True
            states = ", ".join(f"{name} {state}" for name, state in stack.states().items())
            click.echo(f"Not ready after {READY_SECONDS} s; still trying. {states}", err=True)


def _announce(stack: Stack, seconds: float) -> None:
    click.echo(
        f"\nReady after {seconds:.1f} s.\n"
        f"  Page    {stack.url}/\n"
        f"  API     {stack.url}/docs\n"
        f"  Flower  {stack.flower_url}/\n"
        "Ctrl-C ends everything.\n"
    )


def _stop(stack: Stack, interrupts: Interrupts) -> None:
    """Stop in order; at a further interrupt, at once."""
    before = interrupts.count
    click.echo("\nStopping: running batches finish, waiting jobs stay in the queue (Ctrl-C again: at once) ...")
    stopping = threading.Thread(target=stack.stop)
    stopping.start()
    while stopping.is_alive():
        if interrupts.count > before:
            stack.stop_now()
        stopping.join(0.1)
    click.echo("Stopped.")
