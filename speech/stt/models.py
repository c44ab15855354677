"""Loading a Whisper model, and making sure that it is where it was wanted, in the precision it was wanted in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech.device import Device, resolve_device
from speech.errors import DeviceError, ModelError
from speech.stt.hub import CACHE, find_folder

DEFAULT_TYPES = {"cpu": "int8", "cuda": "float16"}


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory. ``whisper`` is CTranslate2's, ``tokenizer`` and ``extractor`` belong to it."""

    name: str
    folder: Path
    device: Device
    compute_type: str
    whisper: Any
    tokenizer: Any
    extractor: Any
    load_seconds: float
    weight_bytes: int


def load(
    name: str | Path, *, device: str, compute_type: str, threads: int, cache: Path = CACHE, download: bool = True
) -> LoadedModel:
    """Load a model and make sure that it is where it was wanted.

    Raises:
        ModelError: the model is missing or damaged.
        DeviceError: the device or the compute type cannot be had.

    """
    began = time.monotonic()
    where = resolve_device(device)
    folder = find_folder(name, cache=cache, download=download)
    wanted = DEFAULT_TYPES[where.kind] if compute_type == "default" else compute_type
    whisper, tokenizer, extractor = _open(folder, where, wanted, threads)
    _verify(whisper, where, wanted)
    return LoadedModel(
        name=str(name),
        folder=folder,
        device=where,
        compute_type=str(whisper.compute_type),
        whisper=whisper,
        tokenizer=tokenizer,
        extractor=extractor,
        load_seconds=time.monotonic() - began,
        weight_bytes=(folder / "model.bin").stat().st_size,
    )


def _open(folder: Path, where: Device, compute_type: str, threads: int) -> tuple[Any, Any, Any]:
    import ctranslate2
    from faster_whisper import WhisperModel

    possible = ctranslate2.get_supported_compute_types(where.kind, where.index)
    if compute_type not in possible:
        raise DeviceError(
            f"compute type {compute_type!r} cannot be had on {where.name} ({where.kind}): "
            f"use one of {', '.join(sorted(possible))}",
            code="bad_compute_type",
        )
    try:
        model = WhisperModel(
            str(folder), device=where.kind, device_index=where.index, compute_type=compute_type, cpu_threads=threads
        )
    except (RuntimeError, ValueError, OSError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise ModelError(f"{folder} cannot be loaded as a Whisper model: {error}", code="model_damaged") from error
    return model.model, model.hf_tokenizer, model.feature_extractor


def _verify(whisper: Any, where: Device, compute_type: str) -> None:
    if whisper.device != where.kind:
        raise DeviceError(f"the model was wanted on {where.kind}, but it runs on {whisper.device}")
    if not str(whisper.compute_type).startswith(compute_type):
        raise DeviceError(
            f"compute type {compute_type!r} was wanted, but the model runs in {whisper.compute_type!r}",
            code="bad_compute_type",
        )
