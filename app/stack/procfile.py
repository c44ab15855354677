"""Reading the Procfile."""

from __future__ import annotations

import re
from pathlib import Path

from app.stack.errors import StackError

LINE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9_]*):\s*(?P<command>\S.*)")


def read(path: Path) -> dict[str, str]:
    """Return the commands of a Procfile by name, in its order.

    Raises:
        StackError: the file is missing or a line is not `name: command`; names file and line.

    """
    if not path.is_file():
        raise StackError(f"{path} is missing: run from a checkout of the repository, where the Procfile lies")
    commands: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.fullmatch(line.strip())
        if match is None:
            raise StackError(f"{path}, line {number}: not of the form `name: command`: {line!r}")
        if match["name"] in commands:
            raise StackError(f"{path}, line {number}: {match['name']} is named twice")
        commands[match["name"]] = match["command"]
    return commands
