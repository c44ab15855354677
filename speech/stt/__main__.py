"""``python -m speech.stt models pull NAME``: recognition models from the command line (``voxqueue models pull``)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from speech.errors import SpeechError
from speech.stt.hub import CACHE, pull, pulled


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m speech.stt", description=__doc__)
    models = parser.add_subparsers(required=True).add_parser("models", help="recognition models")
    commands = models.add_subparsers(required=True, dest="command")
    commands.add_parser("pull", help="fetch a model from the hub").add_argument("model")
    commands.add_parser("list", help="what was pulled")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where hub models are kept")
    wanted = parser.parse_args(arguments)
    if wanted.command == "list":
        sys.stdout.writelines(f"{name}\n" for name in pulled(wanted.cache))
        return 0
    try:
        sys.stdout.write(f"{pull(wanted.model, cache=wanted.cache)}\n")
    except SpeechError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
