"""`voxqueue voices`, `models` and `workers`: what the server has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.cli.context import pass_options

if TYPE_CHECKING:
    from pydantic import BaseModel

    from app.cli.context import Options

import click


def _show(options: Options, found: Sequence[BaseModel], columns: Sequence[str], missing: str) -> None:
    if options.as_json:
        for one in found:
            options.print(one)
        return
    if not found:
        click.echo(missing, err=True)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    for one in found:
        values = one.model_dump()
        table.add_row(*(_cell(values.get(column)) for column in columns))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:.2f}" if isinstance(value, float) else str(value)


@click.group(invoke_without_command=True)
@click.pass_context
@pass_options
def voices(options: Options, context: click.Context) -> None:
    """List the server's voices; `voices pull` fetches one to this machine."""
    if context.invoked_subcommand is not None:
        return
    with options.client() as client:
        found = client.voices()
    _show(options, found, ("name", "speakers", "emotions", "sample_rate"), "No worker has told of a voice yet.")


@click.group(invoke_without_command=True)
@click.pass_context
@pass_options
def models(options: Options, context: click.Context) -> None:
    """List the server's models and voices, with their aliases; `models pull` fetches one to this machine."""
    if context.invoked_subcommand is not None:
        return
    with options.client() as client:
        found = client.models()
    _show(options, found, ("id", "owned_by"), "No worker has told of a model yet.")


@click.command()
@pass_options
def workers(options: Options) -> None:
    """List the live workers."""
    columns = ("name", "kind", "device", "precision", "engine", "model", "jobs", "units", "batches", "mean_batch_rows")
    with options.client() as client:
        found = client.workers()
    _show(options, found, columns, "No worker is alive.")


@voices.command("pull")
@click.argument("name")
def pull_voice(name: str) -> None:
    """Fetch the voice model NAME (such as iic/...) into this machine's cache."""
    here("speech.tts", "voices", "pull", name)


@models.command("pull")
@click.argument("name")
def pull_model(name: str) -> None:
    """Fetch the recognition model NAME (such as large-v3-turbo) into this machine's cache."""
    from jobs.settings import settings

    here("speech.stt", "--cache", str(settings().model_cache), "models", "pull", name)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("what", type=click.Choice(["build", "check", "list"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def engine(what: str, arguments: tuple[str, ...]) -> None:
    """Build, check or list this machine's TensorRT engines.

    `engine build VOICE` and `engine check VOICE` take --name, --device and --precision.
    """
    here("speech.tts", "engine", what, *arguments)


@click.group()
def webhooks() -> None:
    """See what came of webhooks, call them again, and see what they are signed with."""


@webhooks.command("secret")
@pass_options
def webhook_secret(options: Options) -> None:
    """Print the secret that webhooks are signed with."""
    with options.client() as client:
        click.echo(client.webhook_secret())


@webhooks.command("calls")
@click.argument("job")
@pass_options
def webhook_calls(options: Options, job: str) -> None:
    """List the calls of a job's webhook."""
    with options.client() as client:
        found = client.webhook_calls(job)
    _show(options, found, ("at", "attempt", "status", "error"), "It has not been called yet.")


@webhooks.command("again")
@click.argument("job")
@pass_options
def webhook_again(options: Options, job: str) -> None:
    """Call a job's webhook once more."""
    with options.client() as client:
        client.call_webhook_again(job)


@click.command()
def migrate() -> None:
    """Bring the ledger of an older version up to date, in the Redis of VOXQUEUE_REDIS_URL.

    Stop web and workers first. `voxqueue up` does it by itself for its embedded server.
    """
    from redis import RedisError

    from jobs.connect import connect
    from jobs.errors import SchemaMismatch
    from jobs.ledger import SCHEMA_VERSION
    from jobs.migrations import migrate as go_through
    from jobs.settings import settings

    try:
        versions = go_through(connect(settings().redis_url))
    except (SchemaMismatch, RedisError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Migrated from version {versions[0]} to {SCHEMA_VERSION}." if versions else "Nothing to migrate.")


def here(module: str, *arguments: str) -> None:
    """Run a program of the speech library, which this one does not load, and end with its exit code."""
    command = [sys.executable, "-m", module, *arguments]
    sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - our own program, no shell
