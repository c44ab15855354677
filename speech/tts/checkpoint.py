"""Reading a checkpoint folder: the newest file, its tensors, and one clear complaint when something does not fit.

Sources: specification sections 2.10 (acoustic model), 3.4 (vocoder, weight norm) and 4.1 (folder layout).
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from speech.errors import ModelError

_NUMBER = re.compile(r"_(\d+)\.pth$")


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file; raise ModelError if it is missing, not YAML or not a mapping."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing", code="model_missing") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file} cannot be read as YAML: {reason}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no settings (a YAML mapping is wanted)")
    return content


@dataclass(frozen=True)
class NetworkFiles:
    """Where one network of a voice lies: its settings, a folder of checkpoints (or a single one), and what goes along.

    ``speaker_vector`` is needed by SE models only, ``f0_statistics`` by NSF models with mean and deviation.
    """

    config: Path
    checkpoints: Path
    speaker_vector: Path
    f0_statistics: Path

    @classmethod
    def of(cls, where: Path | NetworkFiles) -> NetworkFiles:
        """Return the files of an ``am/`` or ``voc/`` folder in the usual layout; named files stay as they are."""
        if isinstance(where, NetworkFiles):
            return where
        return cls(where / "config.yaml", where / "ckpt", where / "se.npy", where / "mvn.npy")


def newest_checkpoint(folder: Path) -> Path:
    """Return ``checkpoint_<n>.pth`` with the largest n in a ``ckpt`` folder; a file stands for itself.

    Raises:
        ModelError: the folder holds no such file.

    """
    if folder.is_file():
        return folder
    found = [(int(match[1]), file) for file in folder.glob("checkpoint*.pth") if (match := _NUMBER.search(file.name))]
    if not found:
        raise ModelError(f"{folder} holds no checkpoint_<number>.pth", code="model_missing")
    return max(found)[1]


def read_checkpoint(file: Path, *path: str) -> Weights:
    """Return the tensors at ``path`` (such as ``model``, ``generator``) of a checkpoint, never running code from it.

    Raises:
        ModelError: not a checkpoint, damaged, foreign objects inside, or no tensors at that path.

    """
    content: Any = _load(file)
    for index, key in enumerate(path):
        if not isinstance(content, Mapping) or key not in content:
            where = ".".join(path[: index + 1])
            raise ModelError(f"{file} has no key {where}: it is not a Sambert-HifiGan checkpoint")
        content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{file} has no tensors under {'.'.join(path)}: it is not a Sambert-HifiGan checkpoint")
    for key, value in content.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise ModelError(f"{file}: {'.'.join(path)}.{key} is no tensor")
    return Weights(content, file)


def _load(file: Path) -> Any:
    if not file.is_file():
        raise ModelError(f"{file} is missing", code="model_missing")
    with file.open("rb") as stream:
        begins = stream.read(24)
    if begins.startswith(b"version https://git-lfs"):
        raise ModelError(f"{file} is only a Git LFS pointer: fetch the file itself (git lfs pull)")
    try:
        # A real vocoder checkpoint is mostly discriminators and optimizer state: map it and read only what is used.
        return torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "it is no pickle"
        raise ModelError(f"{file} is damaged or holds more than tensors and is refused: {reason}") from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{file} cannot be read as a PyTorch checkpoint: {reason}") from error


class Weights:
    """Tensors of one checkpoint under a prefix, taken by name, checked, as float32 copies."""

    def __init__(self, tensors: Mapping[str, torch.Tensor], file: Path, prefix: str = "") -> None:
        self._tensors = tensors
        self.file = file
        self._prefix = prefix

    def under(self, name: str) -> Weights:
        """Return the tensors below ``name.``."""
        return Weights(self._tensors, self.file, f"{self._prefix}{name}.")

    def __contains__(self, name: str) -> bool:
        return self._prefix + name in self._tensors

    def count(self, name: str) -> int:
        """Return how many numbered children ``name.0``, ``name.1``, ... there are (0 if none)."""
        start = f"{self._prefix}{name}."
        numbers = {key[len(start) :].split(".", 1)[0] for key in self._tensors if key.startswith(start)}
        count = 0
        while str(count) in numbers:
            count += 1
        return count

    def error(self, name: str, what: str) -> ModelError:
        """Return (not raise) the complaint that names the file and the key."""
        return ModelError(f"{self.file}: key {self._prefix}{name} {what}")

    def take(self, name: str, *shape: int | None) -> torch.Tensor:
        """Return one tensor as float32 of the wanted shape (None: any size on that axis).

        Raises:
            ModelError: missing key, other shape, not floating point, or values that are not finite.

        """
        tensor = self._tensors.get(self._prefix + name)
        if tensor is None:
            raise self.error(name, "is missing")
        fits = len(shape) == tensor.dim() and all(
            want in (None, have) for want, have in zip(shape, tensor.shape, strict=True)
        )
        if shape and not fits:
            wanted = "x".join("any" if size is None else str(size) for size in shape)
            raise self.error(name, f"has the shape {'x'.join(map(str, tensor.shape))}, wanted {wanted}")
        if not tensor.is_floating_point():
            raise self.error(name, f"holds {tensor.dtype}, not floating point numbers")
        taken = tensor.detach().to(torch.float32, copy=True).contiguous()
        if not torch.isfinite(taken).all():
            raise self.error(name, "holds values that are not finite")
        return taken

    def dimensions(self, name: str) -> int:
        """Return how many axes a tensor has (0 if it is missing)."""
        tensor = self._tensors.get(self._prefix + name)
        return 0 if tensor is None else tensor.dim()

    def normed(self, name: str, *shape: int | None) -> torch.Tensor:
        """Return a convolution's weight with weight norm folded in, whichever way it is spelled.

        weight = g * v / |v|, the norm over all axes but the first (specification section 3.4).
        """
        start = f"{name}." if name else ""
        for gain, direction in _WEIGHT_NORM:
            if start + gain in self or start + direction in self:
                vectors = self.take(start + direction, *shape)
                sizes = (vectors.shape[0],) + (1,) * (vectors.dim() - 1)
                gains = self.take(start + gain, *sizes)
                norms = torch.linalg.vector_norm(vectors.flatten(1), dim=1).reshape(sizes)
                return torch.where(norms > 0, gains * vectors / norms, torch.zeros_like(vectors))
        return self.take(f"{start}weight", *shape)


# The older and the newer spelling of PyTorch.
_WEIGHT_NORM = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
