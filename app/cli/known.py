"""What the server knows, for the shell's completion: IDs of jobs, names of voices. Nothing, while it is away."""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import Any

from click import Context, Parameter
from click.shell_completion import CompletionItem

from app.cli.context import config_defaults

SECONDS = 2.0
"""Somebody waits at the key: a server that takes longer is not waited for."""
MOST = 50
Complete = Callable[[Context, Parameter, str], list[CompletionItem]]


def _ask(context: Context, path: str) -> list[dict[str, Any]]:
    import httpx

    from app.connection import Connection

    given, defaults = context.find_root().params, config_defaults()
    options = Connection(given.get("server") or defaults.get("server"), given.get("key") or defaults.get("key")).options
    try:
        with httpx.Client(**{**options, "timeout": SECONDS}) as http:
            found: list[dict[str, Any]] = http.get(path).raise_for_status().json()["data"]
    except (httpx.HTTPError, json.JSONDecodeError, KeyError):
        return []
    return found


def jobs(*statuses: str) -> Complete:
    """Return what completes the ID of a job, of one of these statuses if there are any."""
    wanted: Container[str] = statuses or {"queued", "running", "succeeded", "failed", "canceled"}

    def complete(context: Context, parameter: Parameter, begun: str) -> list[CompletionItem]:
        given = context.params.get(parameter.name or "") or ()
        return [
            CompletionItem(job["id"], help=f"{job['kind']}, {job['status']}")
            for job in _ask(context, f"/v1/jobs?limit={MOST}")
            if job["status"] in wanted and job["id"].startswith(begun) and job["id"] not in given
        ]

    return complete


def voices(context: Context, _: Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a voice, or `voice/speaker`."""
    found = _ask(context, "/v1/voices")
    names = [
        name
        for voice in found
        for name in (voice["name"], *(f"{voice['name']}/{s}" for s in voice.get("speakers") or ()))
    ]
    return [CompletionItem(name) for name in names if name.startswith(begun)]
