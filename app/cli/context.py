"""What all commands share: the server, how to print, and which exit code an error has."""

from __future__ import annotations

import contextlib
import os
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from app.client import Client

FAILED, UNREACHABLE, REFUSED, INTERRUPTED = 1, 3, 4, 130


@dataclass(frozen=True)
class Options:
    """The options before the command."""

    server: str | None
    key: str | None
    as_json: bool
    quiet: bool

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Give a client; its errors end the program with their exit code and one line."""
        from app.client import ApiError, Client, JobFailed, Unreachable

        try:
            with Client(self.server, self.key) as client:
                yield client
        except JobFailed as error:
            self.leave(FAILED, str(error))
        except Unreachable as error:
            self.leave(UNREACHABLE, f"{error}; start a server with `voxqueue up`, or name it with --server")
        except ApiError as error:
            self.leave(REFUSED, error.detail)
        except KeyboardInterrupt:
            self.leave(INTERRUPTED, "interrupted; what was submitted goes on: see `voxqueue jobs` and `voxqueue watch`")
        except OSError as error:
            self.leave(FAILED, f"{error.filename or ''}: {error.strerror or error}".lstrip(": "))

    def leave(self, code: int, message: str) -> None:
        """End with an exit code and a line on standard error."""
        click.echo(f"voxqueue: {message}", err=True)
        sys.exit(code)

    def print(self, found: BaseModel) -> None:
        """Print an object as a line of JSON."""
        click.echo(found.model_dump_json(exclude_none=True))

    @property
    def console(self) -> Console:
        """Where bars and tables go: standard error, so that results can be piped."""
        from rich.console import Console

        return Console(stderr=True, quiet=self.quiet)


def config_file() -> Path:
    """Return the path of the user's configuration."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "voxqueue" / "config.toml"


def config_defaults() -> dict[str, str]:
    """Return `server` and `key` of the user's configuration, if there is one."""
    path = config_file()
    if not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} is no TOML: {error}") from error
    return {name: str(found[name]) for name in ("server", "key") if name in found}


pass_options = click.make_pass_decorator(Options)
