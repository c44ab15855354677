"""The generator as one static graph: what torch2trt turns into an engine, and what tests run by ONNX Runtime."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speech.errors import DeviceError
from speech.tts.engines import EngineError
from speech.tts.vocoder import Generator


class WindowGraph(nn.Module):
    """A generator whose inputs are all tensors: mel, excitation (NSF only), inside."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        """Map the inputs named by :func:`input_names` to samples [rows, samples]."""
        mel, *excitation, inside = inputs
        made: Tensor = self.generator(mel, excitation[0] if excitation else None, inside)
        return made


def input_names(generator: Generator) -> list[str]:
    """Return the graph's input names in order."""
    return ["mel", "excitation", "inside"] if generator.config.nsf else ["mel", "inside"]


OUTPUT_NAME = "wave"


def trial_inputs(generator: Generator, frames: int, rows: int, seed: int = 0) -> list[Tensor]:
    """Return deterministic inputs of the static shape, rows of several lengths, on the generator's device."""
    device = generator.conv_pre.bias.device
    draws = torch.Generator().manual_seed(seed)
    inside = (
        torch.arange(frames) < torch.tensor([[frames - frames * row // (2 * rows)] for row in range(rows)])
    ).float()
    mel = torch.randn(rows, generator.mels, frames, generator=draws) * inside.unsqueeze(1)
    inputs = [mel]
    if generator.config.nsf:
        hop = generator.hop_length
        noise = 0.05 * torch.randn(rows, frames * hop, generator=draws)
        inputs.append(noise * inside.repeat_interleave(hop, dim=1))
    return [one.to(device) for one in (*inputs, inside)]


def export_onnx(generator: Generator, file: Path, frames: int, rows: int) -> None:
    """Write the graph for windows of ``frames`` frames in batches of ``rows`` rows, by the exporter torch2trt uses.

    Raises:
        DeviceError: the packages onnx and onnxscript are missing.

    """
    inputs = trial_inputs(generator, frames, rows)
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                WindowGraph(generator).eval(),
                tuple(inputs),
                str(file),
                input_names=input_names(generator),
                output_names=[OUTPUT_NAME],
                external_data=False,
            )
    except ModuleNotFoundError as error:
        raise DeviceError(
            f"exporting to ONNX needs the Python package {error.name}: install requirements-gpu.txt",
            code="library_missing",
        ) from error


@contextlib.contextmanager
def exporter_for_torch2trt() -> Iterator[None]:
    """Let torch2trt's call of the exporter through while this lasts; for a process of its own, since all see it.

    The call was written for the exporter before torch 2.9. The one since then takes a list of tensors for several
    arguments where the module called wants one, fails over a table of axes that vary even if none does (the windows
    are static), and cannot lay weights beside a stream.
    """
    export = torch.onnx.export

    def export_static(module: nn.Module, tensors: list[Tensor], stream: Any, **options: Any) -> object:
        varying = options.pop("dynamic_axes", None)
        if varying and any(varying.values()):
            raise EngineError(f"the windows have one static shape, but torch2trt sees axes that vary: {varying}")
        with _quiet():
            return export(module.eval(), (tensors,), stream, external_data=False, **options)

    torch.onnx.export = export_static  # type: ignore[assignment]
    try:
        yield
    finally:
        torch.onnx.export = export


@contextlib.contextmanager
def bounded_workspace(tensorrt: Any, limit: int) -> Iterator[None]:
    """Let TensorRT's builders take at most so many bytes of the GPU as workspace while this lasts.

    torch2trt sets the limit of TensorRT before 10 only; without one it is all memory of the GPU.
    """
    create = tensorrt.Builder.create_builder_config

    def create_bounded(builder: Any) -> Any:
        config = create(builder)
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, limit)
        return config

    tensorrt.Builder.create_builder_config = create_bounded
    try:
        yield
    finally:
        tensorrt.Builder.create_builder_config = create


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress marks and deprecation notices off the console."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
