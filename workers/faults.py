"""How a unit, an engine or a scheduler can fail, and how errors are told apart."""

from speech import faults
from speech.faults import is_out_of_memory

__all__ = ["DeadlinePassed", "EngineBroken", "SchedulerStopped", "is_fatal", "is_out_of_memory"]


class EngineBroken(RuntimeError):
    """The engine cannot run anything any more; the process must be replaced."""


class SchedulerStopped(RuntimeError):
    """The scheduler was stopped before it ran this unit."""


class DeadlinePassed(TimeoutError):
    """The unit's deadline passed before a batch took it."""


def is_fatal(error: BaseException) -> bool:
    """Tell what the next batch would meet, too: a lost CUDA context, or a TensorRT engine that fails."""
    # By name, for importing the engines would import torch.
    return faults.is_fatal(error) or any(kind.__name__ == "EngineError" for kind in type(error).__mro__)
