"""The objects of the HTTP API: what the OpenAPI document describes and what the Python client gives back."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from jobs.states import Kind, Status


class _Object(BaseModel):
    """Clients must bear fields that a later server adds."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class ProgressObject(_Object):
    """How far a job is."""

    done: int
    total: int
    """0 as long as it is unknown."""
    unit: str
    """What is counted: sentence, second (of audio), file, line."""


class FileObject(_Object):
    """A file of a result."""

    name: str
    media_type: str
    bytes: int
    url: str
    """Root-relative."""


class WarningObject(_Object):
    """Something that went wrong without failing the job."""

    code: str
    detail: str
    at: float | None = None
    """Seconds into the audio, or the index of the unit."""


class OutputObject(_Object):
    """The result of a job."""

    text: str | None = None
    """The transcript, up to 64 KiB."""
    text_truncated: bool = False
    language: str | None = None
    duration_seconds: float | None = None
    files: list[FileObject] = Field(default_factory=list)
    warnings: list[WarningObject] = Field(default_factory=list)
    reused: str | None = None
    """The job that did the work, if this one was answered with its kept result."""


class JobError(_Object):
    """Why a job failed."""

    type: str
    title: str
    detail: str


class MetricsObject(_Object):
    """How long it took."""

    queued_seconds: float
    running_seconds: float
    audio_seconds: float | None = None
    realtime_factor: float | None = None
    """running_seconds / audio_seconds; smaller is faster."""


class ChildrenObject(_Object):
    """How many children of a parent are in which state."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int


class JobObject(_Object):
    """A job."""

    id: str
    """Also the ID of its Celery task."""
    kind: Kind
    status: Status
    progress: ProgressObject
    queue_position: int | None = None
    """Jobs before this one, while it waits; 0: it is the next."""
    created_at: dt.datetime
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    """When the job and its files are removed; counts from its end."""
    attempt: int
    input: dict[str, Any]
    """The request as it was understood; long texts are cut."""
    metadata: dict[str, str]
    output: OutputObject | None = None
    error: JobError | None = None
    metrics: MetricsObject
    links: dict[str, str]
    children: ChildrenObject | None = None
    parent: str | None = None


class JobList(_Object):
    """A page of jobs."""

    data: list[JobObject]
    has_more: bool
    next: str | None = None
    """The `after` of the next page."""


class FieldProblem(_Object):
    """What is wrong with one field."""

    field: str
    detail: str
    limit: Any = None


class ProblemObject(_Object):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    """Stable, for programs."""
    detail: str
    """For people: the field, what is wrong, the limit, the cure."""
    errors: list[FieldProblem] = Field(default_factory=list)


class VoiceObject(_Object):
    """A voice."""

    name: str
    speakers: list[str] = Field(default_factory=list)
    """Chosen as `voice/speaker`."""
    emotions: list[str] = Field(default_factory=list)
    sample_rate: int | None = None


class VoiceList(_Object):
    """The voices."""

    data: list[VoiceObject]


class WorkerObject(_Object):
    """A live worker. `units` are sentences or chunks of up to 30 s."""

    name: str
    kind: str
    device: str | None = None
    precision: str | None = None
    engine: str | None = None
    model: str | None = None
    load_seconds: float | None = None
    warmup_seconds: float | None = None
    jobs: int = 0
    units: int = 0
    batches: int = 0
    mean_batch_rows: float | None = None
    padding_ratio: float | None = None
    memory_bytes: int | None = None


class WorkerList(_Object):
    """The live workers."""

    data: list[WorkerObject]


class ModelObject(_Object):
    """A model, a voice's model or an alias of one, in OpenAI's form."""

    id: str
    object: str = "model"
    created: int = 0
    owned_by: str = ""


class ModelList(_Object):
    """The models, in OpenAI's form."""

    object: str = "list"
    data: list[ModelObject]


class OpenAIErrorDetail(_Object):
    """What is wrong, as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None = None
    """The field."""
    code: str | None = None


class OpenAIErrorObject(_Object):
    """An error of the OpenAI-compatible routes."""

    error: OpenAIErrorDetail


class TranscriptionObject(_Object):
    """A transcript in OpenAI's form; `verbose_json` adds language, duration, segments and words."""

    text: str


class Health(_Object):
    """Whether a process or the stack is fit."""

    status: str


class Readiness(Health):
    """Whether jobs get done."""

    redis: bool
    workers: dict[str, int]
    """Live workers by kind."""
    missing: list[str]
    """Kinds without a worker."""
    held: list[str]
    """Queues and kinds that an operator holds."""


class Holds(BaseModel):
    """What operators hold."""

    held: list[str]
    """`queue:NAME`, `kind:NAME` or `owner:NAME`."""
    drained: list[str]
    """Of these, what running jobs are given back of, too."""
    parked: dict[str, int]
    """Jobs that came up while held and were put aside, by what holds them."""
    waiting: dict[str, int]
    """Jobs that wait, by queue."""
    running: dict[str, int]
    """Jobs in the hands of workers, by queue."""
    waiting_characters: int
    """To be spoken by all jobs that have not ended; for the limits on what may wait."""
    waiting_seconds: int
    """To be heard, likewise."""


class WebhookCall(BaseModel):
    """One call of a webhook."""

    at: str
    attempt: int
    status: int | None
    """Of the answer; null if there was none."""
    error: str | None


class WebhookCalls(BaseModel):
    """The webhook of a job."""

    url: str | None
    calls: list[WebhookCall]


class WebhookSecret(BaseModel):
    """What webhooks are signed with."""

    secret: str
