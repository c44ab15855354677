"""How a unit, an engine or a scheduler can fail, and how errors are told apart."""


class EngineBroken(RuntimeError):
    """The engine cannot run anything any more; the process must be replaced."""


class SchedulerStopped(RuntimeError):
    """The scheduler was stopped before it ran this unit."""


class DeadlinePassed(TimeoutError):
    """The unit's deadline passed before a batch took it."""


_FATAL_MARKS = ("CUDA error", "CUDA failed with error", "device-side assert", "CUDNN_STATUS_", "CUBLAS_STATUS_")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell a MemoryError, torch's OutOfMemoryError, or another library's RuntimeError that says so."""
    said_so = isinstance(error, RuntimeError) and "out of memory" in str(error).lower()
    return bool(_names(error) & {"MemoryError", "OutOfMemoryError"}) or said_so


def is_fatal(error: BaseException) -> bool:
    """Tell what the next batch would meet, too.

    A CUDA error, after which the context is mostly unusable, a TensorRT engine that fails, or what is no Exception.
    """
    if not isinstance(error, Exception):
        return True
    said_so = isinstance(error, RuntimeError) and any(mark in str(error) for mark in _FATAL_MARKS)
    return bool(_names(error) & {"AcceleratorError", "EngineError"}) or said_so


def _names(error: BaseException) -> set[str]:
    """Class names, because importing torch here to ask for a class would cost seconds."""
    return {kind.__name__ for kind in type(error).__mro__}
