"""`python -m speech.stt.pull NAME`: fetch a Whisper model from the hub for later, without starting a worker."""

from __future__ import annotations

import argparse
from pathlib import Path

from speech.errors import ModelError
from speech.stt.hub import CACHE, pull


def main() -> None:
    """Pull a model and print its folder; exit code 1 with the reason."""
    parser = argparse.ArgumentParser(description="Pull a Whisper model from the hub.")
    parser.add_argument("name", help="a size such as large-v3-turbo, or owner/name")
    parser.add_argument("cache", nargs="?", type=Path, default=CACHE, help="where models are kept")
    wanted = parser.parse_args()
    try:
        print(pull(wanted.name, cache=wanted.cache))  # noqa: T201 - the program's output
    except ModelError as error:
        raise SystemExit(error.detail) from error


if __name__ == "__main__":
    main()
