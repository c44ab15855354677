"""`voxqueue keys`: make API keys. The server keeps only their hashes."""

from __future__ import annotations

import os
from pathlib import Path

import click

from app.keys import ROLES, KeysError, Role, create_key


@click.group()
def keys() -> None:
    """Make API keys."""


@keys.command()
@click.argument("owner")
@click.option("--role", type=click.Choice(ROLES), default="user", show_default=True, help="`admin` sees all jobs.")
@click.option("--jobs", type=click.IntRange(0), help="Jobs of this owner that may wait; 0: no limit.")
@click.option("--characters", type=click.IntRange(0), help="Characters that may wait to be spoken.")
@click.option("--seconds", type=click.IntRange(0), help="Seconds of audio that may wait to be heard.")
@click.option("--file", "-f", type=click.Path(dir_okay=False, path_type=Path), help="Add it to this file of keys.")
def create(owner: str, role: Role, file: Path | None, **limits: int | None) -> None:
    """Make a key for OWNER. It is shown once: the server only keeps its hash."""
    try:
        secret, key = create_key(owner, role, {name: most for name, most in limits.items() if most is not None})
    except KeysError as error:
        raise click.BadParameter(str(error), param_hint="OWNER") from error
    click.echo(f"The key, shown only now: {secret}", err=file is None)
    if file is None:
        click.echo(str(key))
        click.echo("Set VOXQUEUE_API_KEYS to this line (several with commas), or to a file of such lines.", err=True)
        return
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as out:
        out.write(f"{key}\n")
    click.echo(f"{file} has it now; start the server with VOXQUEUE_API_KEYS={file}", err=True)
