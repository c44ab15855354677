"""The routes, one blueprint for each concern."""

from __future__ import annotations

from app.openai import models as openai_models
from app.openai import speech as openai_speech
from app.openai import transcripts as openai_transcripts
from app.routes import (
    audiobooks,
    batches,
    catalogue,
    events,
    files,
    health,
    inputs,
    jobs,
    operators,
    pages,
    session,
    stream,
    stt,
    transcripts,
    tts,
    webhooks,
)

BLUEPRINTS = (
    tts.blueprint,
    stt.blueprint,
    audiobooks.blueprint,
    transcripts.blueprint,
    batches.blueprint,
    jobs.blueprint,
    events.blueprint,
    files.blueprint,
    stream.blueprint,
    inputs.blueprint,
    openai_speech.blueprint,
    openai_transcripts.blueprint,
    openai_models.blueprint,
    webhooks.blueprint,
    operators.blueprint,
    catalogue.blueprint,
    session.blueprint,
    health.blueprint,
    pages.blueprint,
)
