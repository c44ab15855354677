"""What the processes of a stack find in their environment, and the addresses that follow from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from app.stack import ports
from app.stack.errors import StackError
from jobs.settings import Settings

PREFIX = "VOXQUEUE_"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True)
class Addresses:
    """Where a stack listens."""

    web: str
    flower: str
    redis: str
    valkey_port: int | None
    """The embedded server's port; None if `VOXQUEUE_REDIS_URL` names another server."""


class GivenSettings(Settings):
    """Settings from what is given alone, not from the environment of this process."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out every source but the arguments."""
        return (init_settings,)


def settings_of(env: Mapping[str, str]) -> Settings:
    """Return the settings that processes with this environment will have.

    Raises:
        StackError: a variable has a value that it cannot have; names it.

    """
    given = {key.removeprefix(PREFIX).lower(): value for key, value in env.items() if key.startswith(PREFIX)}
    try:
        return GivenSettings(**given)  # type: ignore[arg-type]  # strings, as in the environment; pydantic converts
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + "_".join(map(str, first["loc"])).upper()
        raise StackError(f"{name}={first['input']}: {first['msg']}") from error


def without_settings(outer: Mapping[str, str], *, keep: Container[str] = ()) -> dict[str, str]:
    """Return an environment without its VOXQUEUE_* variables but those to `keep`."""
    return {name: value for name, value in outer.items() if not name.startswith(PREFIX) or name in keep}


def choose_addresses(env: Mapping[str, str], *, port: int | None, flower_port: int | None) -> Addresses:
    """Choose the ports: those asked for, else those of the settings; 0 means any that is free.

    Flower moves to a free port if nobody asked for the one that is taken.

    Raises:
        StackError: a port that was asked for is taken.

    """
    settings = settings_of(env)
    embedded = not env.get("VOXQUEUE_REDIS_URL")
    spare = ports.free("127.0.0.1", 3)
    web_port = settings.port if port is None else port
    if web_port and not ports.is_free(settings.host, web_port):
        raise StackError(
            f"port {web_port} of {settings.host} is taken: choose another, as in `make run PORT={web_port + 1}`"
        )
    watch_port = settings.flower_port if flower_port is None else flower_port
    if watch_port and not ports.is_free("127.0.0.1", watch_port):
        if flower_port is not None or "VOXQUEUE_FLOWER_PORT" in env:
            raise StackError(f"port {watch_port} is taken: set VOXQUEUE_FLOWER_PORT to another for Flower")
        watch_port = 0
    return Addresses(
        web=f"http://{reachable(settings.host)}:{web_port or spare[0]}",
        flower=f"http://127.0.0.1:{watch_port or spare[1]}",
        redis=f"redis://127.0.0.1:{spare[2]}/0" if embedded else settings.redis_url,
        valkey_port=spare[2] if embedded else None,
    )


def reachable(host: str) -> str:
    """Return `host` as this machine reaches it in a URL."""
    if host in EVERYWHERE:
        return EVERYWHERE[host]
    return f"[{host}]" if ":" in host else host


def environment(outer: Mapping[str, str], *, root: Path, data_dir: Path, addresses: Addresses) -> dict[str, str]:
    """Return the environment of every process: the outer one, plus what the stack chose."""
    return {
        **outer,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), outer.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",  # logs are followed as they are written
        "VOXQUEUE_HOME": str(root),
        "VOXQUEUE_DATA_DIR": str(data_dir),
        "VOXQUEUE_PORT": addresses.web.rpartition(":")[2],
        "VOXQUEUE_FLOWER_PORT": addresses.flower.rpartition(":")[2],
        "VOXQUEUE_REDIS_URL": addresses.redis,
    }
