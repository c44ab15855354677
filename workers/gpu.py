"""Memory and use of the GPU that a worker is pinned to, by NVIDIA's management library; nothing without one."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from typing import Any

log = logging.getLogger(__name__)


@functools.cache
def _handle() -> tuple[Any, Any] | None:
    """Return the library and the device, None if there is neither."""
    if importlib.util.find_spec("pynvml") is None:
        return None
    import pynvml

    try:
        pynvml.nvmlInit()
        # The library knows nothing of CUDA_VISIBLE_DEVICES: its first entry is the process's device.
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
        if visible.isdigit():
            return pynvml, pynvml.nvmlDeviceGetHandleByIndex(int(visible))
        return pynvml, pynvml.nvmlDeviceGetHandleByUUID(visible)
    except pynvml.NVMLError as error:
        log.info("no figures of the GPU: %s", error)
        return None


def gpu_figures(device: str) -> dict[str, float]:
    """Return `gpu_memory_used_bytes`, `gpu_memory_total_bytes` and `gpu_utilization_ratio` of a `cuda` device.

    The memory is that of the whole GPU, other processes' too. A figure that the driver does not give (with MIG it gives
    no utilisation) is missing; all are for another device, or without the library (requirements-gpu.txt brings it).
    """
    if not device.startswith("cuda") or (found := _handle()) is None:
        return {}
    library, handle = found
    figures: dict[str, float] = {}
    try:
        memory = library.nvmlDeviceGetMemoryInfo(handle)
        figures |= {"gpu_memory_used_bytes": memory.used, "gpu_memory_total_bytes": memory.total}
    except library.NVMLError as error:
        _warn_once("memory", str(error))
    try:
        figures["gpu_utilization_ratio"] = library.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except library.NVMLError as error:
        _warn_once("utilisation", str(error))
    return figures


@functools.cache
def _warn_once(what: str, why: str) -> None:
    """Warn of each reason once: the figures are asked for every two seconds."""
    log.warning("the GPU does not tell its %s: %s", what, why)
