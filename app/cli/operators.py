"""`voxqueue pause`, `drain`, `resume` and `holds`: for operators. They need a key with the role admin."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from app.cli.context import FAILED, pass_options

if TYPE_CHECKING:
    from app.cli.context import Options
    from app.schemas import Holds

QUEUES = ("tts", "stt", "cpu")
POLL_SECONDS = 0.5
WHAT = click.argument("what", metavar="WHAT")


def _named(what: str) -> str:
    """Return `queue:tts` for `tts`; what has a colon is named in full."""
    if ":" in what:
        return what
    if what not in QUEUES:
        raise click.BadParameter(
            f"{what} is no queue ({', '.join(QUEUES)}); or name kind:KIND or owner:OWNER", param_hint="WHAT"
        )
    return f"queue:{what}"


def _ask(options: Options, method: str, body: Any = None) -> Holds:
    from app.calls import Call, parsed
    from app.schemas import Holds

    with options.client() as client:
        return parsed(Holds, client.send(Call(method, "/v1/holds", json=body)))


@click.command()
@WHAT
@pass_options
def pause(options: Options, what: str) -> None:
    """Let no more jobs of WHAT start; running ones go on.

    WHAT is a queue (tts, stt, cpu), kind:KIND or owner:OWNER.
    """
    _show(options, _ask(options, "POST", {"what": _named(what)}))


@click.command()
@WHAT
@click.option("--wait", type=click.FloatRange(0), default=300, show_default=True, help="Seconds to wait for the last.")
@pass_options
def drain(options: Options, what: str, wait: float) -> None:
    """Pause WHAT, give its running jobs back at their next sentence or chunk, and wait until none runs.

    They go on from there after `resume`. Exit code 1 if some still run in the end; of a kind or an owner nobody counts
    what runs, and this does not wait.
    """
    named = _named(what)
    found = _ask(options, "POST", {"what": named, "drain": True})
    end = time.monotonic() + wait
    queue = named.removeprefix("queue:")
    while found.running.get(queue, 0) and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
        found = _ask(options, "GET")
    _show(options, found)
    if found.running.get(queue, 0):
        options.leave(FAILED, f"{found.running[queue]} jobs of {queue} still run after {wait:.0f} s")


@click.command()
@WHAT
@pass_options
def resume(options: Options, what: str) -> None:
    """Let jobs of WHAT start again; those that were put aside are sent within seconds."""
    _show(options, _ask(options, "DELETE", {"what": _named(what)}))


@click.command()
@pass_options
def holds(options: Options) -> None:
    """Show what is held, and what waits and runs in each queue."""
    _show(options, _ask(options, "GET"))


def _show(options: Options, found: Holds) -> None:
    if options.as_json:
        options.print(found)
        return
    for what in found.held:
        how = "drained" if what in found.drained else "paused"
        click.echo(f"{what} is {how}; {found.parked.get(what, 0)} jobs of it were put aside")
    if not found.held:
        click.echo("Nothing is held.")
    for queue in found.waiting:
        click.echo(f"{queue}: {found.waiting[queue]} wait, {found.running.get(queue, 0)} run")
    click.echo(f"Not done yet: {found.waiting_characters} characters, {found.waiting_seconds} seconds of audio")
