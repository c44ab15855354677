"""The routes that OpenAI's clients know, described."""

from __future__ import annotations

from app import schemas
from app.describing import SUBMIT_ERRORS, Body, Operation, Parameter
from app.openai.specs import SpeechRequest, TranscriptionRequest, TranslationRequest

EVENTS = "text/event-stream"

OPENAI = [
    Operation(
        "post",
        "/v1/audio/speech",
        "createSpeech",
        "openai",
        "Speak a text and wait for it",
        {200: "The audio, or events `speech.audio.delta` and `speech.audio.done`."},
        (*SUBMIT_ERRORS, 404),
        media_types=["audio/*", EVENTS],
        body=Body(SpeechRequest),
        openai=True,
    ),
    Operation(
        "post",
        "/v1/audio/transcriptions",
        "createTranscription",
        "openai",
        "Transcribe a recording and wait for it",
        {200: "The transcript in the wanted format, or events `transcript.text.delta` and `transcript.text.done`."},
        (*SUBMIT_ERRORS, 404),
        schemas.TranscriptionObject,
        media_types=["text/plain", "text/vtt", EVENTS],
        body=Body(TranscriptionRequest, json=False, files={"file": False}),
        openai=True,
    ),
    Operation(
        "post",
        "/v1/audio/translations",
        "createTranslation",
        "openai",
        "Translate a recording into English and wait for it",
        {200: "The translation in the wanted format."},
        (*SUBMIT_ERRORS, 404),
        schemas.TranscriptionObject,
        media_types=["text/plain", "text/vtt"],
        body=Body(TranslationRequest, json=False, files={"file": False}),
        openai=True,
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
