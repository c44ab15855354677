"""The worker processes of a host: what each is for, on which device, under which name and environment.

``VOXQUEUE_SLOTS`` lists them, separated by commas: ``kind``, ``kind@device`` or ``kind@device:share``. Kinds are
``tts``, ``stt`` and ``cpu`` (planning and assembling; needs no device). The device is the index of a GPU or ``cpu``;
without one, ``VOXQUEUE_DEVICE`` decides. ``share`` (above 0, at most 1) is the part of the GPU's memory that the
process may take; slots of one GPU that name none share equally what the others leave, as in ``tts@0:0.6,stt@0,cpu``.

Nothing here imports an engine: the environment must be complete before CUDA or OpenMP are loaded.
"""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.settings import SLOT

KINDS = ("tts", "stt", "cpu")
SHARE_VARIABLE = "VOXQUEUE_GPU_MEMORY_SHARE"


@dataclass(frozen=True, slots=True)
class Slot:
    """One worker process. ``gpu`` is an index among the GPUs this host may use, None for the CPU.

    ``number`` tells slots of the same kind and device apart, from 1. ``share`` is the part of the GPU's memory.
    """

    kind: str
    gpu: int | None = None
    share: float = 1.0
    number: int = 1

    @property
    def label(self) -> str:
        """The slot's name on its host: ``tts-gpu0``, ``stt-cpu``, ``cpu``; ``stt-cpu-2`` for a second one."""
        device = "" if self.kind == "cpu" else "-cpu" if self.gpu is None else f"-gpu{self.gpu}"
        return f"{self.kind}{device}" + (f"-{self.number}" if self.number > 1 else "")

    def name(self, host: str) -> str:
        """Return the Celery node name, such as ``tts-gpu0@host``."""
        return f"{self.label}@{host}"

    def environment(self, threads: int, outer: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables to set for the process, ``threads`` being its arithmetic threads.

        ``outer`` (default: ``os.environ``) is what the process inherits: a ``CUDA_VISIBLE_DEVICES`` there says which
        GPUs the host may use.
        """
        outer = os.environ if outer is None else outer
        found = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
        if self.gpu is None:
            return found | {"CUDA_VISIBLE_DEVICES": "", "VOXQUEUE_DEVICE": "cpu"}
        visible = _visible(outer)
        if visible is not None and self.gpu >= len(visible):
            raise ValueError(
                f"slot {self.label}: there is no GPU {self.gpu} among CUDA_VISIBLE_DEVICES={','.join(visible)}; "
                "count from 0 within that list, or change it"
            )
        return found | {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts
            "CUDA_VISIBLE_DEVICES": str(self.gpu) if visible is None else visible[self.gpu],
            "VOXQUEUE_DEVICE": "cuda",  # strict: a process that was given a GPU must not work on the CPU
            SHARE_VARIABLE: f"{self.share:g}",
        }


def parse_slots(text: str, *, device: str = "auto", gpus: Callable[[], int] | None = None) -> list[Slot]:
    """Read ``VOXQUEUE_SLOTS``. ``device`` is ``VOXQUEUE_DEVICE``; ``gpus`` counts the GPUs (default: ``count_gpus``).

    Slots without a device go to the GPUs in turn, kind by kind, if ``device`` is ``cuda``, or if it is ``auto`` and
    there are any. Raises ValueError that names the slot and what may stand there.
    """
    entries = [_entry(entry.strip()) for entry in text.split(",") if entry.strip()]
    if not entries:
        raise ValueError("VOXQUEUE_SLOTS is empty: name at least one worker, such as tts,stt,cpu")
    on_gpu = device == "cuda" or (device == "auto" and any(d is None and k != "cpu" for k, d, _ in entries))
    present = (gpus or count_gpus)() if on_gpu else 0
    if device == "cuda":
        present = max(present, 1)  # the process itself says best what is missing
    turns: Counter[str] = Counter()
    slots, shares = [], []
    for kind, wanted, share in entries:
        gpu = None
        if kind != "cpu" and wanted != "cpu":
            gpu = int(wanted) if wanted is not None else turns[kind] % present if present else None
            turns[kind] += wanted is None
        if share is not None and gpu is None:
            raise ValueError(f"slot {kind}:{share:g}: a share of memory needs a GPU, as in {kind}@0:{share:g}")
        slots.append(Slot(kind, gpu))
        shares.append(share)
    return _numbered(_shared_out(slots, shares))


def _entry(text: str) -> tuple[str, str | None, float | None]:
    found = SLOT.fullmatch(text)
    if found is None or found["kind"] not in KINDS:
        raise ValueError(
            f"VOXQUEUE_SLOTS: cannot read {text!r}; a slot is kind, kind@device or kind@device:share with one of "
            f"{', '.join(KINDS)}, a GPU index or cpu, and a share above 0 and at most 1, such as tts@0:0.6"
        )
    if found["kind"] == "cpu" and found["device"] not in (None, "cpu"):
        raise ValueError(f"VOXQUEUE_SLOTS: {text!r}: the kind cpu plans and assembles, it uses no GPU; write cpu")
    share = None if found["share"] is None else float(found["share"])
    if share is not None and not 0 < share <= 1:
        raise ValueError(f"VOXQUEUE_SLOTS: {text!r}: the share of memory is above 0 and at most 1")
    return found["kind"], found["device"], share


def _shared_out(slots: list[Slot], shares: list[float | None]) -> list[Slot]:
    """Give slots without a share an equal part of what the others leave of their GPU."""
    found = []
    for slot, share in zip(slots, shares, strict=True):
        beside = [s for other, s in zip(slots, shares, strict=True) if other.gpu == slot.gpu]
        named = sum(s for s in beside if s is not None)
        unnamed = beside.count(None)
        if slot.gpu is not None and (named > 1 + 1e-9 or (unnamed and named > 1 - 1e-9)):
            raise ValueError(
                f"VOXQUEUE_SLOTS: the shares of GPU {slot.gpu} are {named:g} in all and leave nothing for "
                f"{unnamed} more; together they may be 1"
            )
        found.append(slot if slot.gpu is None else replace(slot, share=share or (1 - named) / unnamed))
    return found


def _numbered(slots: list[Slot]) -> list[Slot]:
    seen: Counter[tuple[str, int | None]] = Counter()
    found = []
    for slot in slots:
        seen[slot.kind, slot.gpu] += 1
        found.append(replace(slot, number=seen[slot.kind, slot.gpu]))
    return found


def threads_per_slot(slots: list[Slot], *, wanted: int = 0, cores: int | None = None) -> int:
    """Return the arithmetic threads of each engine process: ``wanted``, or with 0 the cores divided by the engines."""
    if wanted:
        return wanted
    engines = sum(slot.kind != "cpu" for slot in slots)
    return max(1, (cores or count_cores()) // max(1, engines))


def count_gpus(outer: Mapping[str, str] | None = None) -> int:
    """Count the NVIDIA GPUs that this process may use, without loading a driver library."""
    visible = _visible(os.environ if outer is None else outer)
    if visible is not None:
        return len(visible)
    nodes = [node for node in Path("/dev").glob("nvidia[0-9]*") if node.name[6:].isdigit()]
    return len(nodes) or int(Path("/dev/dxg").exists())  # the latter is how Windows shows its GPU to Linux


def _visible(outer: Mapping[str, str]) -> list[str] | None:
    """Return the entries of CUDA_VISIBLE_DEVICES; None where it is not set and all GPUs may be used."""
    text = outer.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        return None
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    # CUDA itself reads the list up to the first entry that is not valid; -1 is the usual way to say "none".
    return entries[: entries.index("-1")] if "-1" in entries else entries


def count_cores(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Count the cores that this process may use: its affinity, and the quota of its container."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else max(1, min(cores, round(int(quota) / int(period))))
