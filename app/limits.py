"""What the server's settings and its catalogues allow, beyond what the specs say by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from app.problems import Refusal
from app.services import services
from jobs.specs import JobOptions, TranscriptOptions, VoiceOptions
from jobs.urls import BlockedUrl, check_url


def check_text(text: str, field: str = "text") -> None:
    """Refuse an empty text, and one longer than `VOXQUEUE_MAX_TEXT_CHARS`."""
    limit = services().settings.max_text_chars
    if len(text) > limit:
        raise Refusal.of_field(
            field,
            f"has {len(text)} characters; at most {limit} are allowed (VOXQUEUE_MAX_TEXT_CHARS): "
            "send several jobs, or a book to /v1/audiobooks",
            limit,
        )
    if not text.strip():
        raise Refusal.of_field(field, "must not be empty: there is nothing to speak", 1)


def check_text_total(texts: Sequence[str], field: str) -> None:
    """Refuse texts that are empty, or together longer than `VOXQUEUE_MAX_BOOK_CHARS`."""
    limit, total = services().settings.max_book_chars, sum(map(len, texts))
    if total > limit:
        raise Refusal.of_field(
            field, f"has {total} characters; at most {limit} are allowed (VOXQUEUE_MAX_BOOK_CHARS)", limit
        )
    if not any(text.strip() for text in texts):
        raise Refusal.of_field(field, "must not be empty: there is nothing to speak", 1)


def check_voice(options: VoiceOptions, field: str = "") -> None:
    """Refuse a voice or an emotion that the workers' catalogue does not have."""
    catalogues = services().catalogues
    if options.voice is not None and (wrong := catalogues.voice_problem(options.voice)):
        raise Refusal.of_field(f"{field}voice", wrong)
    voice = options.voice or services().settings.tts_voice
    if options.emotion is not None and (wrong := catalogues.emotion_problem(voice, options.emotion)):
        raise Refusal.of_field(f"{field}emotion", wrong)


def check_model(options: TranscriptOptions, field: str = "") -> None:
    """Refuse a recogniser that the workers' catalogue does not have."""
    if options.model is not None and (wrong := services().catalogues.model_problem(options.model)):
        raise Refusal.of_field(f"{field}model", wrong)


def check_address(url: object, field: str) -> None:
    """Refuse an address that is plainly in a private network; the worker looks at what a name resolves to."""
    try:
        check_url(str(url), services().settings.allowed_networks)
    except BlockedUrl as error:
        raise Refusal.of_field(field, str(error)) from error


def check_webhook(options: JobOptions) -> None:
    """Refuse a webhook into a private network."""
    if options.webhook is not None:
        check_address(options.webhook.url, "webhook.url")
