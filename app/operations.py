"""All operations of the API as data: the OpenAPI document and the page at `/docs` are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app import schemas
from app.describing import SUBMIT_ERRORS, Body, Operation, Parameter, query_parameters
from app.openai.operations import OPENAI
from app.routes.jobs import LONGEST_WAIT, JobQuery, ListQuery
from app.routes.operators import Held, Hold
from app.routes.session import SessionSpec
from app.routes.stream import StreamQuery
from jobs.specs import AudiobookSpec, BatchSpec, STTSpec, TranscriptsSpec, TTSSpec

JOB_ID = Parameter("id", "path", "The job's ID.")
IDEMPOTENCY = Parameter(
    "Idempotency-Key",
    "header",
    "At most 255 characters of your choice. A repeated submit with the same key gives the same job back.",
    {"type": "string", "maxLength": 255},
)
JOB_ERRORS = (401, 403, 404, 503)
BATCH_LINES = 'A line for each task: `{"custom_id": "1", "tts": {"text": "..."}}` or `{..., "stt": {"url": "..."}}`.'
BATCH_TABLE = "Columns: custom_id; text, url or store; and any option of the single job. A row for each task."
MANIFEST_LINES = (
    'A line for each recording: `{"url": "..."}`, `{"store": "..."}` or `{"file": "..."}`, `name`, its options.'
)
MANIFEST_TABLE = "Columns: file, url or store; name; and any option of the single job. A row for each recording."


def _submit(
    path: str, name: str, summary: str, body: Body, description: str = "", query: Sequence[Parameter] = ()
) -> Operation:
    """Describe a request that becomes a job."""
    return Operation(
        "post",
        path,
        name,
        "submit",
        summary,
        {202: "The job is written down and queued.", 200: "An earlier job with the same Idempotency-Key."},
        SUBMIT_ERRORS,
        schemas.JobObject,
        body=body,
        parameters=[IDEMPOTENCY, *query],
        description=description,
    )


def _job(
    method: str,
    what: str,
    name: str,
    summary: str,
    success: Mapping[int, str],
    errors: Sequence[int] = (),
    *,
    parameters: Sequence[Parameter] = (),
    **more: Any,
) -> Operation:
    """Describe a request about a job; `what` follows its address."""
    known = [JOB_ID, *parameters]
    path, refused = f"/v1/jobs/{{id}}{what}", (*JOB_ERRORS, *errors)
    return Operation(method, path, name, "jobs", summary, success, refused, parameters=known, **more)


def _file(what: str, name: str, summary: str, noun: str, listed: str) -> Operation:
    """Describe a request for the bytes of a file."""
    return _job(
        "get",
        f"/{what}/{{name}}",
        name,
        summary,
        {200: f"The {noun}.", 206: "A range of it.", 304: "The client has it already."},
        (416,),
        media_types=["*/*"],
        parameters=[
            Parameter("name", "path", f"The {noun}'s name, from `{listed}`."),
            Parameter("Range", "header", "`bytes=FIRST-LAST`."),
            Parameter("If-None-Match", "header", "An ETag."),
        ],
    )


def _server(
    method: str, path: str, name: str, summary: str, success: Mapping[int, str], errors: Sequence[int], **more: Any
) -> Operation:
    """Describe a request about the server."""
    return Operation(method, path, name, "server", summary, success, errors, **more)


OPERATIONS: list[Operation] = [
    _submit("/v1/tts", "createSpeechJob", "Speak a text", Body(TTSSpec)),
    _submit(
        "/v1/stt",
        "createTranscriptJob",
        "Transcribe a recording",
        Body(STTSpec, json_needs=("url", "store"), files={"file": False}),
        "The recording is the form field `file`, in any container that FFmpeg reads, or it is at `url`, or below the "
        "server's area of recordings as `store`.",
    ),
    _submit(
        "/v1/audiobooks",
        "createAudiobookJob",
        "Speak a book",
        Body(AudiobookSpec, json_needs=("chapters",), files={"file": False, "cover": False}),
        "The book is the form field `file` (.epub, .txt, .md), or it is in `chapters`; a child for each.",
    ),
    _submit(
        "/v1/transcripts",
        "createTranscriptsJob",
        "Transcribe many recordings",
        Body(
            TranscriptsSpec,
            json=False,
            files={"files": True, "manifest": False},
            form_needs=("files", "manifest"),
            raw={"application/jsonl": MANIFEST_LINES, "text/csv": MANIFEST_TABLE},
        ),
        "The recordings are the repeated form field `files`, whose names may have folders; a .zip of recordings is "
        "unpacked. A manifest, beside them or as the body, names recordings elsewhere and gives each its options. With "
        "it as the body, the options of all are in the query.",
        # An address has room for 8,190 bytes: long texts belong into a form, or into the manifest.
        [each for each in query_parameters(TranscriptsSpec) if each.name not in {"prompt", "hotwords"}],
    ),
    _submit(
        "/v1/batches",
        "createBatchJob",
        "Run many small tasks",
        Body(
            BatchSpec,
            json=False,
            files={"file": False},
            raw={"application/jsonl": BATCH_LINES, "text/csv": BATCH_TABLE},
        ),
        "With lines as the body, the options are in the query. A line that is wrong fails by itself; the result has a "
        "line for each.",
        query_parameters(BatchSpec),
    ),
    Operation(
        "get",
        "/v1/jobs",
        "listJobs",
        "jobs",
        "List jobs, newest first",
        {200: "A page of jobs."},
        (401, 403, 404, 422, 503),
        schemas.JobList,
        parameters=query_parameters(ListQuery),
    ),
    _job(
        "get",
        "",
        "getJob",
        "Look at a job",
        {200: "The job; `Retry-After` while it has not ended."},
        (422,),
        answer=schemas.JobObject,
        parameters=query_parameters(JobQuery),
        description=f"With `wait`, the answer comes as soon as the job has ended, after at most {LONGEST_WAIT} s.",
    ),
    _job("delete", "", "deleteJob", "Erase a job, its inputs and its files", {204: "It is gone."}, (409,)),
    _job(
        "get",
        "/events",
        "watchJob",
        "Follow a job",
        {
            200: "Server-sent events `job` with a job as data, until it has ended.",
            204: "It has ended, and Last-Event-ID is its last event.",
        },
        media_types=["text/event-stream"],
        parameters=[Parameter("Last-Event-ID", "header", "ID of the last event that was seen.")],
    ),
    _file("files", "getFile", "Fetch a file of a result", "file", "output.files"),
    _file("inputs", "getInput", "Fetch the recording that a job transcribes", "recording", "input.files"),
    _job(
        "get",
        "/stream",
        "streamSound",
        "Hear a TTS job while it is being made",
        {200: "The sound from the first finished sentence on.", 206: "A range of a finished sound."},
        (409, 416, 422),
        media_types=["audio/*"],
        parameters=query_parameters(StreamQuery),
        description="An M4A cannot grow: it is sent when it is finished. What is being made has no byte ranges.",
    ),
    _job(
        "post",
        "/cancel",
        "cancelJob",
        "Cancel a job",
        {200: "It is canceled.", 202: "It runs, and stops at its next unit."},
        (409,),
        answer=schemas.JobObject,
    ),
    _job(
        "post",
        "/retry",
        "retryJob",
        "Queue a failed or canceled job again",
        {202: "It is queued; finished units are kept."},
        (409,),
        answer=schemas.JobObject,
    ),
    _job(
        "get",
        "/webhook",
        "getWebhookCalls",
        "See what came of a job's webhook",
        {200: "The calls, oldest first."},
        answer=schemas.WebhookCalls,
    ),
    _job(
        "post",
        "/webhook",
        "callWebhookAgain",
        "Call a job's webhook again",
        {202: "It is called within seconds."},
        (409,),
        answer=schemas.WebhookCalls,
    ),
    *(
        _server("get", path, name, summary, {200: found}, (401, 403, 503), answer=answer)
        for path, name, summary, found, answer in (
            ("/v1/voices", "listVoices", "List voices", "The voices.", schemas.VoiceList),
            ("/v1/workers", "listWorkers", "List live workers", "The workers.", schemas.WorkerList),
            (
                "/v1/webhook-secret",
                "getWebhookSecret",
                "See what webhooks are signed with",
                "The secret.",
                schemas.WebhookSecret,
            ),
            ("/v1/holds", "listHolds", "What is held?", "What is held, and what waits.", schemas.Holds),
        )
    ),
    _server(
        "post",
        "/v1/session",
        "beginSession",
        "Exchange a key for a cookie",
        {204: "The cookie is set."},
        (400, 401, 403, 415, 422, 503),
        body=Body(SessionSpec, required=False),
        open=True,
    ),
    _server("delete", "/v1/session", "endSession", "End the session", {204: "It has ended."}, (403, 503), open=True),
    _server("get", "/healthz", "isAlive", "Alive?", {200: "Yes."}, (), answer=schemas.Health, open=True),
    _server(
        "get",
        "/readyz",
        "isReady",
        "Ready?",
        {200: "Redis answers and each kind has a live worker.", 503: "Not so."},
        (),
        answer=schemas.Readiness,
        open=True,
    ),
    _server(
        "get",
        "/metrics",
        "getMetrics",
        "Figures for Prometheus",
        {200: "Prometheus' text format."},
        (401, 403),
        media_types=["text/plain"],
    ),
    *(
        _server(
            method,
            "/v1/holds",
            name,
            summary,
            {200: "What is held now, and what waits."},
            (400, 401, 403, 415, 422, 503),
            answer=schemas.Holds,
            body=Body(spec),
        )
        for method, name, summary, spec in (
            ("post", "hold", "Hold or drain a queue, kind or owner", Hold),
            ("delete", "resume", "Resume it", Held),
        )
    ),
    *OPENAI,
]
