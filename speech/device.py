"""Choosing the device, strictly: a GPU that was asked for is never replaced silently by the CPU."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speech.errors import DeviceError

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Device:
    """A device that is really there: ``cpu``, or one CUDA GPU as this process numbers it."""

    kind: DeviceKind
    index: int
    name: str

    @property
    def torch_name(self) -> str:
        """The name PyTorch wants, such as ``cpu`` or ``cuda:0``."""
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"


def resolve_device(wanted: str) -> Device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    ``auto`` takes the first GPU if there is one, else the CPU. ``cuda`` is strict.

    Raises:
        DeviceError: the name is unknown, or a GPU was asked for and cannot be used.

    """
    kind, _, number = wanted.partition(":")
    if kind not in {"auto", "cpu", "cuda"} or (number and (kind != "cuda" or not number.isdigit())):
        raise DeviceError(f"device {wanted!r} is not known: use auto, cpu, cuda or cuda:N", code="unknown_device")
    if kind == "cpu":
        return _cpu()
    missing = _why_no_cuda(int(number or 0))
    if missing is None:
        import torch

        index = int(number or 0)
        return Device("cuda", index, torch.cuda.get_device_name(index))
    if kind == "auto":
        return _cpu()
    raise DeviceError(
        f"device {wanted!r} was asked for, but {missing}. Install the NVIDIA driver and the packages of "
        "requirements-gpu.txt, see that `nvidia-smi` lists the GPU, or choose the device cpu.",
        code="no_cuda",
    )


def cap_threads(count: int) -> None:
    """Let the numeric libraries of this process use at most ``count`` CPU threads, loaded ones and later ones."""
    if count < 1:
        raise DeviceError(f"threads must be at least 1, not {count}", code="bad_threads")
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = str(count)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(count)


def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware; without that it is slower than float32."""
    flags = set((_cpu_facts("flags") or _cpu_facts("Features")).split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu() -> Device:
    return Device("cpu", 0, _cpu_facts("model name") or platform.processor() or platform.machine())


def _cpu_facts(key: str) -> str:
    """Return what the kernel says of the first core under a key, empty if nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == key), "")


def _why_no_cuda(index: int) -> str | None:
    import torch

    if torch.version.cuda is None:
        return f"this PyTorch ({torch.__version__}) was built without CUDA"
    if not torch.cuda.is_available():
        return "PyTorch finds no usable CUDA device or driver"
    count = torch.cuda.device_count()
    return None if index < count else f"there are only {count} CUDA devices, counted from 0"
