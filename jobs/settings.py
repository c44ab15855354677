"""All settings of all processes, read once from `VOXQUEUE_*` variables.

The table in the README is generated from the docstrings here (`python -m jobs.settings`).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SLOT = re.compile(r"(?P<kind>[a-z]+)(?:@(?P<device>cpu|\d{1,3}))?(?::(?P<share>\d*\.?\d+))?")
"""One of the `slots`."""


class Settings(BaseSettings):
    """One object per process. Every docstring: default, unit, and the harm of too low or too high."""

    model_config = SettingsConfigDict(
        env_prefix="VOXQUEUE_", extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    # --- where things are
    redis_url: str = "redis://127.0.0.1:6379/0"
    """Broker and ledger. `make run` starts an embedded server and sets it unless you do. `rediss://` for TLS,
    `sentinel://` for servers with sentinels before them (docs/operations.md)."""
    appendfsync: Literal["always", "everysec"] = "everysec"
    """Of the embedded server. `everysec`: its kill or a crash may lose the last submits. `always`: none, but slow."""
    data_dir: Path = Path("var")
    """Inputs, finished units and results. One stack per folder; all hosts of a stack share it (or `results`)."""
    results: str = "disk"
    """Where blobs live: `disk` (under data_dir), `redis` (small results only) or a URL that fsspec knows (`s3://…`)."""
    redis_blob_bytes: int = Field(default=32 * 1024**2, gt=0)
    """Largest blob with `results=redis`. Too high: one result blocks Redis for everybody while it is copied."""
    inputs: str = ""
    """Folder or fsspec URL (`s3://recordings/{owner}`) below which jobs may name recordings as `store`; `{owner}` keeps
    keys apart. Empty: none. Too wide: whoever may submit hears all that is in it."""
    reuse_bytes: int = Field(default=0, ge=0)
    """Results kept to answer identical work of the same owner that asks for `reuse`; the least recently used leave
    first. 0: none. Too low: they leave before they are wanted; too high: the disk."""
    ttl_seconds: int = Field(default=7 * 24 * 3600, gt=0)
    """How long a job and its files stay after its end. Too low: clients come too late; too high: the disk fills."""

    # --- the door
    host: str = "127.0.0.1"
    """Address of the web process. Anything but loopback needs `api_keys`."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port of the web process."""
    web_connections: int = Field(default=4000, ge=16)
    """Open connections of one web process, event streams too. Too low: new clients wait; too high: file handles."""
    web_workers: int = Field(default=1, ge=1)
    """Web processes. One answers some hundred submits a second; more help on many cores."""
    api_keys: str = ""
    """Keys as `owner:sha256:role` separated by commas, or a file with one a line. Empty: no keys, loopback only."""
    allowed_networks: str = ""
    """Private networks that `url` and webhooks may reach, such as `10.1.0.0/16,127.0.0.0/8`. Empty: none."""
    webhook_secret: str = ""
    """Signing secret of webhooks (`whsec_…`). Empty: made once; `voxqueue webhooks secret` shows it."""
    max_text_chars: int = Field(default=100_000, gt=0)
    """Characters of one TTS job. Too high: one job is hours long; a book goes to `/v1/audiobooks`."""
    max_book_chars: int = Field(default=5_000_000, gt=0)
    """Characters of one audiobook."""
    max_upload_bytes: int = Field(default=2 * 1024**3, gt=0)
    """Largest request body. Too high: a few uploads fill the disk."""
    max_audio_seconds: float = Field(default=12 * 3600, gt=0)
    """Longest recording; what is longer fails with a reason."""
    max_children: int = Field(default=50_000, gt=0)
    """Most children of one parent (chapters, files, lines)."""
    max_waiting: int = Field(default=200_000, ge=0)
    """Jobs that may wait in all before 429. 0: no limit. Too high: Redis' memory; some 3 KB a job."""
    max_waiting_per_owner: int = Field(default=100_000, ge=0)
    """The same for one key's owner. 0: no limit."""
    max_waiting_characters: int = Field(default=200_000_000, ge=0)
    """Characters that may wait to be spoken, in all, before 429. 0: no limit. Too high: a queue of weeks."""
    max_waiting_characters_per_owner: int = Field(default=100_000_000, ge=0)
    """The same for one key's owner. Too high: one client's books keep the workers for weeks. 0: no limit."""
    max_waiting_seconds: int = Field(default=36_000_000, ge=0)
    """Seconds of audio that may wait to be transcribed, in all, before 429: ten thousand hours. 0: no limit."""
    max_waiting_seconds_per_owner: int = Field(default=18_000_000, ge=0)
    """The same for one key's owner. 0: no limit."""

    # --- engines
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`cuda` is strict: a worker without a GPU exits. `auto` takes a GPU where there is one, and says what it took."""
    slots: str = "tts,stt,cpu"
    """Worker processes of this host: `kind@device:share`, as in `tts@0:0.6,stt@0,cpu`. `device` decides without `@`."""
    gpu_memory_share: float = Field(default=1.0, gt=0, le=1)
    """Part of the GPU's memory: what PyTorch takes for TTS, and STT's weights; not TensorRT's engines, not STT's
    batches. `slots` sets it."""
    tts_voice: str = "demo"
    """`demo` (bundled, small domain), a voice folder, or a hub name (`iic/speech_sambert-hifigan_tts_zh-cn_16k`)."""
    tts_dictionary: str = ""
    """File of words and readings for all texts; a book's own dictionary goes before it (docs/text-front-end.md)."""
    tts_front_end: Literal["own", "ttsfrd", "auto"] = "own"
    """What turns text into symbols. `ttsfrd` is ModelScope's closed package, strict; `auto` takes it where it and its
    folder are there and no dictionary is set (docs/text-front-end.md)."""
    tts_front_end_resource: str = ""
    """Folder `resource` (unpacked `resource.zip` of a voice model) for `ttsfrd`. Empty: the one in `tts_voice`'s."""
    tts_precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the vocoder. Lower is faster where the hardware has it; docs/engines.md has the differences."""
    vocoder: Literal["auto", "torch", "tensorrt"] = "auto"
    """`auto`: TensorRT on a GPU if it works, else PyTorch, visible in `/v1/workers`. `tensorrt` is strict."""
    stt_model: str = "demo"
    """`demo` (bundled, small domain), a CTranslate2 folder, or a name such as `large-v3-turbo`."""
    stt_compute_type: str = "default"
    """CTranslate2 compute type; `default`: int8 on a CPU, float16 on a GPU. Checked after loading."""
    stt_memory_bytes: int = Field(default=0, ge=0)
    """Weights of all STT models in memory; the least recently used leave first. 0: no limit. Too low: reloads."""
    model_cache: Path = Path("~/.cache/voxqueue")
    """Where hub models are kept."""
    idle_unload_seconds: float = Field(default=0, ge=0)
    """Idle time after which a model leaves memory. 0: never. Too low: jobs wait for loads."""
    cpu_threads: int = Field(default=0, ge=0)
    """Arithmetic threads of each engine process. 0: cores divided by slots. Too high: processes fight for cores."""

    # --- batches
    tts_batch_frames: int = Field(default=48_000, gt=0)
    """Cost limit of a TTS batch: rows × longest row, in mel frames. Too low: idle GPU; too high: out of memory."""
    tts_batch_rows: int = Field(default=64, gt=0)
    """Most sentences of a TTS batch. On a CPU at most 16 for each thread: more gain little and keep others waiting."""
    stt_batch_rows: int = Field(default=16, gt=0)
    """Most chunks (≤ 30 s) of an STT batch. On a CPU at most 8, with one thread 4."""
    linger_ms: float = Field(default=15, ge=0)
    """How long an idle engine waits for company for a unit, at most half of its last run; for a recording's 50 times as
    long, at most 1/32 of it. Too high: short jobs wait; too low: batches of one."""
    tts_threads: int = Field(default=64, ge=1)
    """TTS jobs a worker has in hand at once; each gives sentences to the batches. Too low: small batches."""
    stt_threads: int = Field(default=16, ge=1)
    """STT jobs a worker has in hand at once; each decodes audio. Too high: memory, and decoding starves the engine."""
    cpu_task_threads: int = Field(default=4, ge=1)
    """Planning, assembling and delivery tasks at once in the cpu worker."""

    # --- life of a job
    lease_seconds: float = Field(default=15, gt=0)
    """A worker silent for so long has died. Too low: a pause costs an attempt; too high: slow recovery."""
    sweep_seconds: float = Field(default=2, gt=0)
    """How often expired leases are looked for, by one process at a time."""
    lost_seconds: float = Field(default=20, gt=0)
    """How long a queued job may be in no broker list before it is sent again. Too low: harmless duplicates."""
    orphan_seconds: float = Field(default=24 * 3600, gt=0)
    """Age at which files without a job are removed: an upload whose process died. Below the longest upload: harm."""
    slice_seconds: float = Field(default=20, gt=0)
    """How long a bulk job keeps its thread while others wait. Too low: overhead; too high: others wait."""
    drain_seconds: float = Field(default=30, gt=0)
    """How long a worker may take to end after SIGTERM; from half of it on its batch stops at the next row. The
    supervisor's grace must exceed it."""
    watchdog_seconds: float = Field(default=120, gt=0)
    """A batch that runs for so long hangs, and the process is replaced. Too low: a slow CPU batch is killed."""
    default_timeout_seconds: float = Field(default=0, ge=0)
    """Deadline of jobs that name none. 0: none."""

    # --- watching
    log_level: str = "INFO"
    """Level of all processes' logs."""
    log_format: Literal["text", "json"] = "text"
    """`json`: an object a line, with the job's ID in each that is about one."""
    traces: Literal["", "otlp"] = ""
    """`otlp`: OpenTelemetry traces to `OTEL_EXPORTER_OTLP_ENDPOINT`; needs requirements-traces.txt. Empty: none."""
    flower_port: int = Field(default=5555, ge=0, le=65535)
    """Port of Flower."""
    flower_basic_auth: str = ""
    """`user:password` of Flower. Needed outside loopback."""

    @property
    def blobs_dir(self) -> Path:
        """Folder of the disk store."""
        return self.data_dir / "jobs"


@functools.cache
def settings() -> Settings:
    """Return the settings of this process, read at the first call."""
    return Settings()


def table() -> str:
    """Return the configuration table of the README, in Markdown."""
    rows = ["| variable | default | what, and the harm of a wrong value |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        what = " ".join((field.description or "").split())
        rows.append(f"| `VOXQUEUE_{name.upper()}` | `{field.default}` | {what} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())  # noqa: T201 - this is the program's output
