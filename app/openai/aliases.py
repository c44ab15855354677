"""Names of OpenAI's models and voices, and what they stand for here: the configured ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.problems import Refusal
from app.services import services

SPEAKING = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
HEARING = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-transcribe")
VOICES = frozenset(
    ("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse")
)


def _is_alias(model: str, aliases: Iterable[str]) -> bool:
    """Whether a model is one of `aliases`, or a dated version of one."""
    return any(model == alias or model.startswith(f"{alias}-20") for alias in aliases)


def _unknown(model: str, known: Iterable[str]) -> Refusal:
    shown = ", ".join(sorted(known)[:20])
    return Refusal.of_field(
        "model", f"there is no model {model[:100]!r}; known are {shown}", status=404, code="model_not_found"
    )


def speaking_models() -> Mapping[str, Mapping[str, Any]]:
    """Return what can speak, by name: models, and each voice as a model."""
    voices = services().catalogues.entries("voices")
    models = {str(entry["model"]): entry for entry in voices.values() if entry.get("model")}
    return {services().settings.tts_voice: {}, **models, **voices}


def hearing_models() -> Mapping[str, Mapping[str, Any]]:
    """Return what can listen, by name."""
    return {services().settings.stt_model: {}, **services().catalogues.entries("models")}


def voice_of(model: str, voice: str | None) -> str | None:
    """Return the voice that a request means, None for the configured one. Raises `Refusal` 404 for another model."""
    known = speaking_models()
    if not _is_alias(model, SPEAKING) and model not in known:
        raise _unknown(model, [*SPEAKING, *known])
    voices = services().catalogues.entries("voices")
    if voice is None or (voice in VOICES and voice not in voices):
        return model if model in voices else None
    return voice


def model_of(model: str) -> str | None:
    """Return the recogniser that a request means, None for the configured one. Raises `Refusal` 404 for another."""
    known = hearing_models()
    if _is_alias(model, HEARING):
        return None
    if model not in known:
        raise _unknown(model, [*HEARING, *known])
    return model
