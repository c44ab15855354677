"""`voxqueue completion`: completion for shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands: `eval "$(voxqueue completion bash)"`."""
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    root = context.find_root().command
    click.echo(found(root, {}, "voxqueue", "_VOXQUEUE_COMPLETE").source())
