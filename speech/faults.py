"""Telling errors apart that any library on a device may raise: out of memory, and a CUDA context that is lost."""

from __future__ import annotations

_FATAL_MARKS = ("CUDA error", "CUDA failed with error", "device-side assert", "CUDNN_STATUS_", "CUBLAS_STATUS_")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a MemoryError, torch's OutOfMemoryError, or another library's RuntimeError that says so."""
    said_so = isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    return bool(_names(error) & {"MemoryError", "OutOfMemoryError"}) or said_so


def is_fatal(error: BaseException) -> bool:
    """Tell a CUDA error, after which the context is mostly unusable, or anything that is not an Exception."""
    if not isinstance(error, Exception):
        return True
    said_so = isinstance(error, RuntimeError) and any(mark in str(error) for mark in _FATAL_MARKS)
    return "AcceleratorError" in _names(error) or said_so


def _names(error: BaseException) -> set[str]:
    """Class names, because importing torch here to ask for a class would cost seconds."""
    return {kind.__name__ for kind in type(error).__mro__}
