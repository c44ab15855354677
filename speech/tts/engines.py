"""The cache of TensorRT engine files: what an engine was made for is written in it and compared before it is used.

A file is one line of JSON (the key's fields and the engine's SHA-256) and then the engine. Its name is a digest of the
key, so engines of other weights, GPUs, versions, precisions or shapes lie side by side and never replace one another.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from torch import nn

from speech.errors import ModelError

# Raise it when the graph changes while weights and shapes stay the same.
GRAPH_VERSION = 1
SUFFIX = ".engine"
_HEADER_LIMIT = 64 * 1024


@dataclass(frozen=True)
class EngineKey:
    """Everything an engine depends on."""

    weights: str
    tensorrt: str
    gpu: str
    capability: str
    precision: str
    frames: int
    rows: int
    graph: int = GRAPH_VERSION

    def digest(self) -> str:
        """Return a short name for the key."""
        text = json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def file_in(self, cache: Path) -> Path:
        """Return the engine's file in a cache folder."""
        return cache / (self.digest() + SUFFIX)


class EngineError(ModelError):
    """An engine cannot be used; the detail says why, and building it anew is always the cure."""

    default_code = "bad_engine"


def cache_folder() -> Path:
    """Return where engines are kept: ``engines`` in the folder of what can be made again."""
    return cache_root() / "engines"


def cache_root() -> Path:
    """Return the folder for what can be made or fetched again: ``$VOXQUEUE_MODEL_CACHE``, else the user's cache.

    ``$VOXQUEUE_CACHE_DIR`` goes before it, for those who use this library alone.
    """
    wanted = os.environ.get("VOXQUEUE_CACHE_DIR") or os.environ.get("VOXQUEUE_MODEL_CACHE")
    if wanted:
        return Path(wanted).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "voxqueue"


def weights_hash(network: nn.Module) -> str:
    """Return the SHA-256 of a network's structure and numbers."""
    digest = hashlib.sha256(repr(getattr(network, "config", None) and _shape_of(network)).encode())
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shape_of(network: nn.Module) -> dict[str, Any]:
    # Where the configuration lies does not change what it says.
    return {field.name: getattr(network.config, field.name) for field in fields(network.config) if field.name != "file"}  # type: ignore[arg-type]


def write_engine(file: Path, key: EngineKey, engine: bytes) -> None:
    """Write an engine file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = {**asdict(key), "bytes": len(engine), "sha256": hashlib.sha256(engine).hexdigest()}
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    with partial.open("wb") as stream:
        stream.write(json.dumps(header, ensure_ascii=False).encode() + b"\n")
        stream.write(engine)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def read_header(file: Path) -> Mapping[str, Any]:
    """Return what an engine file says of itself; raise EngineError if it says nothing readable."""
    try:
        with file.open("rb") as stream:
            header = json.loads(stream.readline(_HEADER_LIMIT))
    except FileNotFoundError as error:
        raise EngineError(f"engine {file} is not built yet", code="engine_missing") from error
    except (OSError, ValueError) as error:
        raise EngineError(f"engine {file} is corrupt: its first line is no header") from error
    if not isinstance(header, dict):
        raise EngineError(f"engine {file} is corrupt: its first line is no header")
    return header


def read_engine(file: Path, key: EngineKey) -> bytes:
    """Return the engine of a file that was made for just this key.

    Raises:
        EngineError: missing, corrupt, or made for something else (each difference is named).

    """
    header = read_header(file)
    differences = [
        f"{name} is {header.get(name)!r}, wanted {wanted!r}"
        for name, wanted in asdict(key).items()
        if header.get(name) != wanted
    ]
    if differences:
        raise EngineError(f"engine {file} was made for something else: {'; '.join(differences)}", code="stale_engine")
    with file.open("rb") as stream:
        stream.readline(_HEADER_LIMIT)
        engine = stream.read()
    if len(engine) != header.get("bytes") or hashlib.sha256(engine).hexdigest() != header.get("sha256"):
        raise EngineError(f"engine {file} is corrupt: {len(engine)} bytes that do not match its header")
    return engine


def list_engines(cache: Path) -> list[dict[str, Any]]:
    """Return the header of every engine file, with ``file`` and, if it is unusable, ``problem``."""
    listed: list[dict[str, Any]] = []
    for file in sorted(cache.glob(f"*{SUFFIX}")):
        try:
            listed.append({"file": str(file), **read_header(file)})
        except EngineError as error:
            listed.append({"file": str(file), "problem": error.detail})
    return listed
