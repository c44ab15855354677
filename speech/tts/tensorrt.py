"""The vocoder by TensorRT: built in another process, kept in a cache, verified against PyTorch before every use.

torch2trt builds the engine from the exported graph (``use_onnx=True``; its own converter of transposed convolutions
is wrong) for one static window shape. The NSF source stays outside: its noise and its float64 phase are no business of
a half-precision engine.
"""

from __future__ import annotations

import fcntl
import logging
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from speech.device import Device
from speech.errors import DeviceError
from speech.tts.checkpoint import NetworkFiles, newest_checkpoint
from speech.tts.engines import EngineError, EngineKey, cache_folder, read_engine, weights_hash, write_engine
from speech.tts.export import (
    OUTPUT_NAME,
    WindowGraph,
    bounded_workspace,
    exporter_for_torch2trt,
    input_names,
    trial_inputs,
)
from speech.tts.vocoder import Generator
from speech.tts.windows import WindowRunner

log = logging.getLogger(__name__)

LEAST_SNR_DB = 30.0
BUILD_SECONDS = 3600
"""After which a build, a matter of minutes, is given up."""
PRECISIONS = ("float32", "float16")
CURE = "Install requirements-gpu.txt and torch2trt (make install-gpu), or set the vocoder to torch."


def import_tensorrt() -> Any:
    """Return the module; raise DeviceError that says what to install.

    TensorRT 11 lacks what torch2trt needs, so only version 10 is taken.
    """
    try:
        import tensorrt
    except ImportError as error:
        raise DeviceError(f"TensorRT is not installed ({error}). {CURE}", code="library_missing") from error
    version = str(tensorrt.__version__)
    if version.partition(".")[0] != "10":
        raise DeviceError(
            f"TensorRT {version} is installed, torch2trt works with 10.x only. {CURE}", code="library_missing"
        )
    return tensorrt


def engine_key(generator: Generator, device: Device, precision: str, frames: int, rows: int) -> EngineKey:
    """Return the key of the engine that this generator wants on this device; raise DeviceError if there can be none."""
    if device.kind != "cuda":
        raise DeviceError("the TensorRT vocoder needs a GPU; on a CPU set the vocoder to torch", code="no_cuda")
    if precision not in PRECISIONS:
        raise DeviceError(
            f"the TensorRT vocoder runs in {' or '.join(PRECISIONS)}, not {precision}", code="bad_precision"
        )
    tensorrt = import_tensorrt()
    major, minor = torch.cuda.get_device_capability(device.index)
    return EngineKey(
        weights=weights_hash(generator),
        tensorrt=str(tensorrt.__version__),
        gpu=device.name,
        capability=f"{major}.{minor}",
        precision=precision,
        frames=frames,
        rows=rows,
    )


def tensorrt_runner(
    generator: Generator, files: NetworkFiles, device: Device, precision: str, frames: int, rows: int
) -> WindowRunner:
    """Return a verified runner for a float32 generator on ``device``, building the engine if the cache has none.

    Raises:
        DeviceError: no GPU, or TensorRT or torch2trt missing or too new.
        EngineError: it cannot be built, or does not compute what PyTorch does.

    """
    key = engine_key(generator, device, precision, frames, rows)
    file = key.file_in(cache_folder())
    with _one_builder(file):
        try:
            return open_engine(file, key, generator, device)[0]
        except EngineError as error:
            log.info("%s; building it", error.detail)
        build(files, file, key, device)
        try:
            return open_engine(file, key, generator, device)[0]
        except EngineError:
            file.unlink(missing_ok=True)
            raise


def open_engine(file: Path, key: EngineKey, generator: Generator, device: Device) -> tuple[WindowRunner, float]:
    """Return the runner of a cached engine and its distance from PyTorch in dB; raise EngineError."""
    runner = TensorRTRunner(read_engine(file, key), generator, device)
    decibels = verify(generator, runner, key.frames, key.rows)
    log.info("engine %s: %.1f dB signal to noise against PyTorch", file.name, decibels)
    return runner, decibels


@contextmanager
def _one_builder(file: Path) -> Iterator[None]:
    """Let one process of this machine at a time open or build an engine, so that none is built twice."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(files: NetworkFiles, file: Path, key: EngineKey, device: Device) -> None:
    """Build an engine in a process of its own, so that its memory and its crashes are not ours.

    That process ends with the calling thread. Its workspace is at most the part of the GPU that PyTorch may take here.

    Raises:
        EngineError: the process failed or took too long; the detail ends with its last line.

    """
    began = time.monotonic()
    log.info(
        "building the TensorRT engine for %s on %s (%s): some minutes", files.config.parent, device.name, key.precision
    )
    with _workplace(file) as folder:
        made = folder / "engine"
        command = [sys.executable, "-m", "speech.tts.build_engine", str(made), "--device", str(device.index)]
        command += ["--config", str(files.config), "--checkpoint", str(newest_checkpoint(files.checkpoints))]
        command += ["--precision", key.precision, "--frames", str(key.frames), "--rows", str(key.rows)]
        command += ["--memory-share", str(torch.cuda.get_per_process_memory_fraction(device.index))]
        command += ["--parent", str(os.getpid()), "--seconds", str(BUILD_SECONDS)]
        # The child must find this package whatever the current folder is.
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        last = ""
        with subprocess.Popen(  # noqa: S603 - our own interpreter and module; the paths are arguments, no shell
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                if line.strip():
                    last = line.strip()
                    log.info("engine %s, %.0f s: %s", file.name, time.monotonic() - began, last)
        if child.returncode != 0 or not made.is_file():
            late = child.returncode == -signal.SIGALRM
            ended = f"was given up after {BUILD_SECONDS} s" if late else f"failed (exit {child.returncode})"
            raise EngineError(f"building the engine for {files.config.parent} {ended}: {last or 'no output'}")
        write_engine(file, key, made.read_bytes())
    log.info("engine %s built in %.0f s", file.name, time.monotonic() - began)


@contextmanager
def _workplace(file: Path) -> Iterator[Path]:
    """Give an empty folder beside an engine's file; what a killed builder of this engine has left goes.

    For the holder of the engine's lock: another builder's would go, too.
    """
    folder = file.with_suffix(".building")
    for partial in file.parent.glob(f"{file.name}.*.part"):
        partial.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def build_here(generator: Generator, precision: str, frames: int, rows: int, workspace_bytes: int) -> bytes:
    """Build an engine in this process and return it serialised; raise DeviceError or EngineError."""
    tensorrt = import_tensorrt()
    try:
        from torch2trt import torch2trt
    except ImportError as error:
        raise DeviceError(f"torch2trt is not installed ({error}). {CURE}", code="library_missing") from error
    with torch.no_grad(), exporter_for_torch2trt(), bounded_workspace(tensorrt, workspace_bytes):
        made = torch2trt(
            WindowGraph(generator).eval(),
            trial_inputs(generator, frames, rows),
            input_names=input_names(generator),
            output_names=[OUTPUT_NAME],
            fp16_mode=precision == "float16",
            use_onnx=True,
        )
    if made.engine is None:
        raise EngineError("TensorRT could not build an engine from the graph; its own messages say why")
    return bytes(made.engine.serialize())


def verify(generator: Generator, runner: WindowRunner, frames: int, rows: int) -> float:
    """Compare a runner with the float32 generator; return the signal-to-noise ratio in dB.

    Raises:
        EngineError: wrong shape, numbers that are not finite, or less than 30 dB.

    """
    inputs = trial_inputs(generator, frames, rows)
    mel, inside = inputs[0], inputs[-1]
    excitation = inputs[1] if len(inputs) == 3 else None
    with torch.inference_mode():
        wanted = generator(mel, excitation, inside)
        made = runner(mel, excitation, inside)
    valid = inside.repeat_interleave(generator.hop_length, dim=1) > 0
    if made.shape != wanted.shape:
        raise EngineError(f"the engine gives {list(made.shape)} samples, PyTorch {list(wanted.shape)}")
    made, wanted = made.double()[valid], wanted.double()[valid]
    if not torch.isfinite(made).all():
        raise EngineError("the engine gives numbers that are not finite")
    noise = float((made - wanted).square().sum())
    decibels = math.inf if noise == 0 else 10 * math.log10(float(wanted.square().sum()) / noise + 1e-30)
    if decibels < LEAST_SNR_DB:
        raise EngineError(f"the engine is {decibels:.1f} dB from PyTorch, at least {LEAST_SNR_DB:.0f} dB is wanted")
    return decibels


class TensorRTRunner:
    """A deserialised engine; each thread has an execution context of its own."""

    def __init__(self, engine: bytes, generator: Generator, device: Device) -> None:
        tensorrt = import_tensorrt()
        self._logger = tensorrt.Logger(tensorrt.Logger.WARNING)
        self._runtime = tensorrt.Runtime(self._logger)
        # TensorRT works on the thread's current GPU, which is the first one unless it is told.
        with torch.cuda.device(device.index):
            self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise EngineError("TensorRT refuses the engine: it was made by another version or for another GPU")
        self._names = input_names(generator)
        self._samples = generator.hop_length
        self._device = device
        self._threads = threading.local()

    def __call__(self, mel: Tensor, excitation: Tensor | None, inside: Tensor) -> Tensor:
        """Run one batch of the static shape; return samples [rows, samples]."""
        with torch.cuda.device(self._device.index):
            return self._run([mel, inside] if excitation is None else [mel, excitation, inside])

    def _run(self, given: list[Tensor]) -> Tensor:
        context, mel = self._context(), given[0]
        # Kept until the next call of this thread: the GPU reads them after this function has returned.
        inputs = [one.to(torch.float32).contiguous() for one in given]
        wave = torch.empty(mel.shape[0], mel.shape[2] * self._samples, dtype=torch.float32, device=mel.device)
        for name, one in zip(self._names, inputs, strict=True):
            if not context.set_input_shape(name, tuple(one.shape)):
                raise EngineError(f"the engine refuses {name} of the shape {list(one.shape)}")
            context.set_tensor_address(name, one.data_ptr())
        context.set_tensor_address(OUTPUT_NAME, wave.data_ptr())
        # On a stream of its own: on the default one TensorRT waits for the whole device before and behind every call.
        current, own = torch.cuda.current_stream(mel.device), self._threads.stream
        own.wait_stream(current)
        if not context.execute_async_v3(own.cuda_stream):
            raise EngineError("TensorRT could not run the engine; its own messages say why")
        current.wait_stream(own)
        self._threads.alive = (inputs, wave)
        return wave

    def _context(self) -> Any:
        context = getattr(self._threads, "context", None)
        if context is None:
            context = self._engine.create_execution_context()
            if context is None:
                raise EngineError("TensorRT has no memory for another execution context")
            self._threads.stream = torch.cuda.Stream(self._device.torch_name)  # type: ignore[no-untyped-call]
            self._threads.context = context
        return context
