"""The routes that OpenAI's clients know, described."""

from __future__ import annotations

from typing import Any

from app import schemas
from app.describing import SUBMIT_ERRORS, Body, Operation, Parameter
from app.openai.specs import SpeechRequest, TranscriptionRequest, TranslationRequest

EVENTS = "text/event-stream"

TEXTS = ["text/plain", "text/vtt"]


def _job(path: str, name: str, summary: str, success: str, body: Body, **more: Any) -> Operation:
    """Describe a request that is answered when its job is done."""
    refused = (*SUBMIT_ERRORS, 404)
    return Operation("post", path, name, "openai", summary, {200: success}, refused, body=body, openai=True, **more)


OPENAI = [
    _job(
        "/v1/audio/speech",
        "createSpeech",
        "Speak a text and wait for it",
        "The audio, or events `speech.audio.delta` and `speech.audio.done`.",
        Body(SpeechRequest),
        media_types=["audio/*", EVENTS],
    ),
    _job(
        "/v1/audio/transcriptions",
        "createTranscription",
        "Transcribe a recording and wait for it",
        "The transcript in the wanted format, or events `transcript.text.delta` and `transcript.text.done`.",
        Body(TranscriptionRequest, json=False, files={"file": False}),
        answer=schemas.TranscriptionObject,
        media_types=[*TEXTS, EVENTS],
    ),
    _job(
        "/v1/audio/translations",
        "createTranslation",
        "Translate a recording into English and wait for it",
        "The translation in the wanted format.",
        Body(TranslationRequest, json=False, files={"file": False}),
        answer=schemas.TranscriptionObject,
        media_types=TEXTS,
    ),
    Operation(
        "get",
        "/v1/models",
        "listModels",
        "openai",
        "List models, voices and aliases",
        {200: "The models."},
        (401, 403, 503),
        schemas.ModelList,
        openai=True,
    ),
    Operation(
        "get",
        "/v1/models/{name}",
        "getModel",
        "openai",
        "Look at a model",
        {200: "The model."},
        (401, 403, 404, 503),
        schemas.ModelObject,
        parameters=[Parameter("name", "path", "The model's name.")],
        openai=True,
    ),
]
