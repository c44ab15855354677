"""Memory of this process and of its device."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def resident_bytes() -> int:
    """Return the memory of this process."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def trim_heap() -> None:
    """Give freed memory back to the kernel; an engine's allocator is told to keep it (Procfile)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def empty_cuda_cache() -> None:
    """Give device memory that PyTorch holds in reserve back to the device, in processes that use it."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def limit_cuda_memory(share: float) -> None:
    """Let PyTorch take at most this part of the GPU's memory, where there is a GPU and the part is not all of it.

    TensorRT asks the device itself: `speech.tts.tensorrt` holds its builder to the same part, its engines stand beside.
    """
    import torch

    if share < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)


def cuda_memory_bytes() -> int:
    """Return the whole memory of this process's GPU; 0 without one."""
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else 0
