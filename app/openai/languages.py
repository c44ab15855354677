"""Names of languages as OpenAI's `verbose_json` has them."""

from __future__ import annotations

NAMES = {
    "ar": "arabic", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "fa": "persian", "fi": "finnish", "fr": "french", "he": "hebrew", "hi": "hindi", "hu": "hungarian",
    "id": "indonesian", "it": "italian", "ja": "japanese", "ko": "korean", "ms": "malay", "nl": "dutch",
    "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sv": "swedish",
    "th": "thai", "tr": "turkish", "uk": "ukrainian", "ur": "urdu", "vi": "vietnamese", "yue": "cantonese",
    "zh": "chinese",
}  # fmt: skip


def language_name(code: str) -> str:
    """Return the English name of a language, or its code where we have no name."""
    return NAMES.get(code, code)
