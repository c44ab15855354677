"""Build one TensorRT engine and write it to a file; a process of its own, started by :mod:`speech.tts.tensorrt`."""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import os
import signal
import sys
from pathlib import Path

import torch

from speech.device import resolve_device
from speech.errors import SpeechError
from speech.tts.checkpoint import NetworkFiles
from speech.tts.tensorrt import build_here
from speech.tts.vocoder import load_vocoder

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str] | None = None) -> int:
    """Build; return 0, or 1 after one line that says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the file to write")
    parser.add_argument("--config", type=Path, required=True, help="the vocoder's config.yaml")
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--precision", default="float16")
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--memory-share", type=float, required=True, help="part of the GPU's memory that may be taken")
    parser.add_argument("--parent", type=int, required=True, help="the process to end with")
    parser.add_argument("--seconds", type=int, required=True, help="after which to end in any case")
    wanted = parser.parse_args(arguments)
    _end_with(wanted.parent, wanted.seconds)
    try:
        device = resolve_device(f"cuda:{wanted.device}")
        # TensorRT builds for the current GPU and measures on it.
        torch.cuda.set_device(device.index)
        torch.cuda.set_per_process_memory_fraction(wanted.memory_share)
        workspace = int(wanted.memory_share * torch.cuda.get_device_properties(device.index).total_memory)
        files = NetworkFiles.of(wanted.config.parent)
        generator, _ = load_vocoder(dataclasses.replace(files, config=wanted.config, checkpoints=wanted.checkpoint))
        generator.to(device.torch_name)
        _say(f"exporting and building for windows of {wanted.rows} x {wanted.frames} frames")
        engine = build_here(generator, wanted.precision, wanted.frames, wanted.rows, workspace)
    except SpeechError as error:
        _say(error.detail)
        return 1
    wanted.out.write_bytes(engine)
    _say(f"built: {len(engine) / 1e6:.1f} MB")
    return 0


def _end_with(parent: int, seconds: int) -> None:
    """Let the kernel kill this process when its parent ends or the time is over, whatever TensorRT is busy with."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the parent has ended already")
    signal.alarm(seconds)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
