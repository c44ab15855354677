"""Memory of this process and of its device."""

from __future__ import annotations

from pathlib import Path


def resident_bytes() -> int:
    """Return the memory of this process."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def empty_cuda_cache() -> None:
    """Give device memory that PyTorch holds in reserve back to the device."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def limit_cuda_memory(share: float) -> None:
    """Let PyTorch take at most this part of the GPU's memory, where there is a GPU and the part is not all of it."""
    import torch

    if share < 1 and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(share)
