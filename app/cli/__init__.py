"""`voxqueue`: the command line. Commands are loaded when they are used, so that each starts fast."""

from __future__ import annotations

import importlib

import click

from app.cli.context import Options, config_defaults

COMMANDS = {
    "tts": "app.cli.speak:tts",
    "book": "app.cli.speak:book",
    "stt": "app.cli.listen:stt",
    "transcribe": "app.cli.transcribe:transcribe",
    "batch": "app.cli.batch:batch",
    "jobs": "app.cli.jobs:jobs",
    "show": "app.cli.jobs:show",
    "watch": "app.cli.jobs:watch",
    "cancel": "app.cli.jobs:cancel",
    "retry": "app.cli.jobs:retry",
    "delete": "app.cli.jobs:delete",
    "fetch": "app.cli.jobs:fetch",
    "voices": "app.cli.server:voices",
    "models": "app.cli.server:models",
    "workers": "app.cli.server:workers",
    "webhooks": "app.cli.server:webhooks",
    "engine": "app.cli.server:engine",
    "pause": "app.cli.operators:pause",
    "drain": "app.cli.operators:drain",
    "resume": "app.cli.operators:resume",
    "holds": "app.cli.operators:holds",
    "migrate": "app.cli.server:migrate",
    "mend": "app.stack.up:mend",
    "doctor": "app.cli.doctor:doctor",
    "keys": "app.cli.keys:keys",
    "completion": "app.cli.completion:completion",
    "up": "app.stack.up:up",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of use and not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voxqueue")
@click.option("--server", metavar="URL", envvar="VOXQUEUE_URL", help="Address [http://127.0.0.1:8000, VOXQUEUE_URL].")
@click.option("--key", metavar="KEY", envvar="VOXQUEUE_API_KEY", help="API key [VOXQUEUE_API_KEY].")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line for each object, for scripts.")
@click.option("--quiet", "-q", is_flag=True, help="No progress bars.")
@click.pass_context
def main(context: click.Context, server: str | None, key: str | None, *, as_json: bool, quiet: bool) -> None:
    """Submit texts and recordings to a Voxqueue server, watch them, fetch the results.

    Exit codes: 0 done, 1 a job failed, 2 wrong usage, 3 no server, 4 the server refused, 130 interrupted.

    Address and key may also stand in ~/.config/voxqueue/config.toml as `server` and `key`.
    """
    defaults = config_defaults()
    context.obj = Options(server or defaults.get("server"), key or defaults.get("key"), as_json, quiet)
