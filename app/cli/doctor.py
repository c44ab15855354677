"""`voxqueue doctor`: what this machine has, what is missing, what to do."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from app.cli.context import FAILED, pass_options
from jobs.settings import Settings, settings

if TYPE_CHECKING:
    from app.cli.context import Options

State = Literal["good", "note", "bad"]
SIGNS: dict[State, str] = {"good": "[green]✓[/]", "note": "[yellow]![/]", "bad": "[red]✗[/]"}
LEAST_DISK_BYTES = 2 * 1024**3
LIBRARIES = ("torch", "ctranslate2", "faster-whisper", "av", "soundfile", "pypinyin", "celery", "redis")
CUDA_PROBE = (
    "import torch, ctranslate2; n = torch.cuda.device_count();"
    "print(n, ctranslate2.get_cuda_device_count(), *[torch.cuda.get_device_name(i) for i in range(n)], sep='|')"
)


CODECS = ("aac", "libmp3lame", "libopus", "flac", "mp3", "opus", "vorbis", "h264")
"""Encoders of what we write, and decoders of what people send."""
FFMPEG_PROBE = (
    "import av; v = av.library_versions['libavcodec'];"
    f"print('.'.join(map(str, v)), *[n for n in {CODECS} if n not in av.codecs_available], sep='|')"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: State
    what: str
    detail: str
    cure: str = ""


@click.command()
@pass_options
@click.pass_context
def doctor(context: click.Context, options: Options) -> None:
    """Look at Python, libraries, Redis, GPU, models, disk and ports, and say what to do."""
    from rich.console import Console

    console, found = Console(), []
    for check in CHECKS:
        for finding in check(settings()):
            found.append(finding)
            if options.as_json:
                click.echo(_as_json(finding))
            else:
                console.print(f"{SIGNS[finding.state]} {finding.what}: {finding.detail}", highlight=False)
                if finding.cure:
                    console.print(f"    {finding.cure}", style="dim", highlight=False)
    if any(finding.state == "bad" for finding in found):
        context.exit(FAILED)


def _as_json(finding: Finding) -> str:
    import json
    from dataclasses import asdict

    return json.dumps(asdict(finding), ensure_ascii=False)


def python(_: Settings) -> Iterator[Finding]:
    """Look at the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("good", "Python", f"{version} at {sys.executable}")


def libraries(_: Settings) -> Iterator[Finding]:
    """Look at what is installed, without importing it."""
    found, missing = [], []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("bad", "Libraries", f"missing: {', '.join(missing)}", "Run `make install`.")
    else:
        yield Finding("good", "Libraries", ", ".join(found))


def ffmpeg(_: Settings) -> Iterator[Finding]:
    """Look at FFmpeg's libraries, which come with PyAV's wheel, and at the codecs in them; in another process."""
    ended = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", FFMPEG_PROBE], capture_output=True, text=True, check=False, timeout=60
    )
    if ended.returncode:
        reason = ended.stderr.strip().splitlines()[-1]
        yield Finding("bad", "FFmpeg libraries", reason, "Run `make install`: the wheel of `av` brings them.")
        return
    version, *missing = ended.stdout.strip().split("|")
    if missing:
        cure = "Install the wheel of `av` from PyPI, not a build against the system's FFmpeg."
        yield Finding("bad", "FFmpeg libraries", f"libavcodec {version} without {', '.join(missing)}", cure)
    else:
        yield Finding("good", "FFmpeg libraries", f"libavcodec {version} with all codecs")


def redis(config: Settings) -> Iterator[Finding]:
    """Look at the server: reachable, durable, and not one that throws keys away."""
    from redis import RedisError

    from jobs.connect import BadAddress, connect

    where = config.redis_url.partition("?")[0].rpartition("@")[2]
    try:
        info = connect(config.redis_url, timeout=3, retries=0).info()
    except BadAddress as error:
        yield Finding("bad", "Redis", str(error), "See docs/operations.md.")
        return
    except (RedisError, OSError) as error:
        cure = "`voxqueue up` starts an embedded server; or set VOXQUEUE_REDIS_URL."
        yield Finding("note", "Redis", f"{where} does not answer ({error})", cure)
        return
    version = info.get("valkey_version") or info.get("redis_version")
    yield Finding("good", "Redis", f"{info.get('server_name', 'redis')} {version} at {where}")
    if info.get("aof_enabled"):
        yield Finding("good", "Redis keeps jobs", "append-only file is on")
    else:
        yield Finding("bad", "Redis keeps jobs", "append-only file is off", "Start it with `--appendonly yes`.")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy != "noeviction":
        yield Finding("bad", "Redis memory", f"evicts keys ({policy})", "Set `maxmemory-policy noeviction`.")
    else:
        yield Finding("good", "Redis memory", f"{info.get('used_memory_human')} used, evicts nothing")


def gpu(config: Settings) -> Iterator[Finding]:
    """Look at devices in another process: this one must not load torch."""
    wanted: State = "bad" if config.device == "cuda" else "note"
    ended = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", CUDA_PROBE], capture_output=True, text=True, check=False, timeout=120
    )
    if ended.returncode:
        yield Finding("bad", "Engines", ended.stderr.strip().splitlines()[-1], "Run `make install`.")
        return
    torch_devices, ctranslate_devices, *names = ended.stdout.strip().split("|")
    if torch_devices == "0":
        seen = "nvidia-smi is there: torch has no CUDA" if shutil.which("nvidia-smi") else "none found"
        cure = "Everything runs on the CPU. With a GPU: `make install-gpu` on the CUDA machine."
        yield Finding(wanted, "GPU", seen, cure)
        return
    yield Finding("good", "GPU", ", ".join(names))
    if ctranslate_devices == "0":
        yield Finding(wanted, "CTranslate2", "sees no GPU", "It needs CUDA 12: see requirements-gpu.txt.")
    if importlib.util.find_spec("tensorrt") is None:
        state: State = "bad" if config.vocoder == "tensorrt" else "note"
        yield Finding(state, "TensorRT", "not installed; the vocoder runs in PyTorch", "`make install-gpu` adds it.")
    else:
        # The distribution is called after the CUDA it is made for: tensorrt_cu13.
        owners = metadata.packages_distributions().get("tensorrt", [])
        yield Finding("good", "TensorRT", metadata.version(owners[0]) if owners else "installed")


def models(config: Settings) -> Iterator[Finding]:
    """Look for the configured models on the disk."""
    for what, wanted, folder in (("Voice", config.tts_voice, "tts"), ("Recogniser", config.stt_model, "stt")):
        if wanted == "demo":
            path = Path(__file__).parents[2] / "models" / "demo" / folder
            if path.is_dir():
                detail = "demo: bundled, knows a small domain only"
                yield Finding("note", what, detail, f"Real speech needs a real model: VOXQUEUE_{folder.upper()}_...")
            else:
                yield Finding("bad", what, f"{path} is missing", "Clone the repository whole.")
        elif Path(wanted).expanduser().is_dir():
            yield Finding("good", what, wanted)
        else:
            yield Finding("note", what, f"{wanted}: from a hub, kept in {config.model_cache}")


def disk(config: Settings) -> Iterator[Finding]:
    """Look at the folder of results, or whether an object store takes and gives back a file."""
    if config.results == "redis":
        yield Finding("good", "Results", f"in Redis, each up to {config.redis_blob_bytes} bytes")
        return
    if config.results != "disk":
        yield _object_store(config)
        return
    folder = config.data_dir.absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    state: State = "bad" if free < LEAST_DISK_BYTES else "good"
    cure = "Set VOXQUEUE_DATA_DIR to a larger disk." if state == "bad" else ""
    yield Finding(state, "Disk", f"{free / 1024**3:.1f} GiB free at {folder}", cure)


def _object_store(config: Settings) -> Finding:
    from jobs.errors import JobsError
    from jobs.ids import new_id
    from jobs.remote_files import store_of

    where, probe = config.results.rpartition("@")[2], new_id()
    try:
        store = store_of(config)
        blob = store.put(probe, b"voxqueue doctor")
        with store.open(probe, blob) as file:
            file.read()
        store.remove_job(probe)
    except JobsError as error:
        return Finding("bad", "Results", f"{where}: {error.detail}", "Address and keys come from variables (AWS_...).")
    return Finding("good", "Results", f"{where} takes, gives back and removes a file")


def ports(config: Settings) -> Iterator[Finding]:
    """Look whether the ports are free or answered."""
    for name, port in (("web", config.port), ("Flower", config.flower_port)):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            yield Finding("good", f"Port of {name}", f"{port} is free")
        else:
            yield Finding("note", f"Port of {name}", f"{port} is in use", "By a running stack? Else set another one.")


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    python,
    libraries,
    ffmpeg,
    redis,
    gpu,
    models,
    disk,
    ports,
)
