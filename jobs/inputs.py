"""The area of recordings that jobs may name by their path (`store`): a folder, or a prefix of an object store.

Only the operator says where it is (`VOXQUEUE_INPUTS`); clients name paths below it, and nothing above it, beside it or
behind a link is read.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.errors import NotFound
from jobs.files import CHUNK, TooLarge, capped, scratch
from jobs.settings import Settings
from jobs.urls import FetchError

log = logging.getLogger(__name__)
OWNER = "{owner}"


@contextlib.contextmanager
def stored_recording(path: str, owner: str, settings: Settings) -> Iterator[Path]:
    """Give the recording at a path (validated by its spec) of an owner's area as a file of this host.

    Raises `FetchError`, and `NotFound` if there is no such recording.
    """
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    if not settings.inputs:
        raise FetchError("no_inputs", "store: this server has no area of recordings (VOXQUEUE_INPUTS); upload it")
    fs, root = fsspec.core.url_to_fs(settings.inputs.replace(OWNER, owner))
    if isinstance(fs, LocalFileSystem):
        yield _local(Path(root), path, settings.max_upload_bytes)
        return
    with scratch() as folder:
        copy = folder / "recording"
        _download(fs, f"{root.rstrip('/')}/{path}", copy, settings.max_upload_bytes, path)
        yield copy


def _local(root: Path, path: str, max_bytes: int) -> Path:
    found = (root / path).resolve()
    if not found.is_relative_to(root.resolve()) or not found.is_file():  # a link may lead elsewhere
        raise _missing(path)
    if found.stat().st_size > max_bytes:
        raise _too_large(max_bytes)
    return found


def _download(fs: Any, source: str, target: Path, max_bytes: int, path: str) -> None:
    try:
        with fs.open(source, "rb") as recording, target.open("wb") as file:
            for chunk in capped(iter(lambda: recording.read(CHUNK), b""), max_bytes):
                file.write(chunk)
    except TooLarge as error:
        raise _too_large(max_bytes) from error
    except (FileNotFoundError, IsADirectoryError) as error:
        raise _missing(path) from error
    except Exception as error:  # every fsspec backend has its own exceptions
        log.warning("reading %s failed: %s", source, error)  # not for clients: it may hold addresses and signatures
        raise FetchError("inputs_failed", f"store: {path} cannot be read ({type(error).__name__})") from error


def _missing(path: str) -> NotFound:
    return NotFound("input_not_found", f"store: there is no recording {path}")


def _too_large(max_bytes: int) -> FetchError:
    return FetchError("input_too_large", f"store: more than {max_bytes} bytes (VOXQUEUE_MAX_UPLOAD_BYTES)")
