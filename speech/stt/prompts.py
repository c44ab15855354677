"""The tokens in front of a window: hotwords, the text before it, language and task."""

from __future__ import annotations

import functools
from typing import Any

from speech.stt.options import DecodeOptions, Task

LONGEST = 223
"""Tokens of hotwords and prompt together. Whisper has 448 positions; the words need half of them."""


class Prompts:
    """Makes prompts for one model. Thread-safe: the tokenizer is, and the rest is cached values."""

    def __init__(self, tokenizer: Any, *, multilingual: bool) -> None:
        self._raw = tokenizer
        self._multilingual = multilingual
        self._tokens = functools.lru_cache(maxsize=1024)(self._encode)
        self._tokenizer = functools.cache(self._make)

    def tokenizer(self, language: str, task: Task) -> Any:
        """Return faster-whisper's tokenizer for a language and a task."""
        return self._tokenizer(language, task) if self._multilingual else self._tokenizer("en", "transcribe")

    def knows(self, language: str) -> bool:
        """Say whether the model has a token for a language; a model for English only has none, and knows English."""
        if not self._multilingual:
            return language == "en"
        return self._raw.token_to_id(f"<|{language}|>") is not None

    def before(self, options: DecodeOptions) -> tuple[int, ...]:
        """Return the tokens before ``<|startoftranscript|>``: none, or ``<|startofprev|>``, hotwords, prompt.

        Hotwords lose their end and the prompt its beginning if they are too long together.
        """
        return self._tokens(options.hotwords, options.prompt)

    def whole(self, options: DecodeOptions, language: str) -> list[int]:
        """Return all tokens that the model is given before it writes."""
        tokenizer = self.tokenizer(language, options.task)
        mode = [] if options.timestamps else [tokenizer.no_timestamps]
        return [*self.before(options), *tokenizer.sot_sequence, *mode]

    @functools.cached_property
    def suppressed(self) -> tuple[int, ...]:
        """Tokens the model must not write: marks of sounds and speakers, and control tokens."""
        from faster_whisper.transcribe import get_suppressed_tokens

        return tuple(get_suppressed_tokens(self.tokenizer("en", "transcribe"), [-1]))

    def _encode(self, hotwords: str | None, prompt: str | None) -> tuple[int, ...]:
        tokenizer = self.tokenizer("en", "transcribe")
        hot = tokenizer.encode(f" {hotwords}")[:LONGEST] if hotwords else []
        room = LONGEST - len(hot)
        previous = tokenizer.encode(f" {prompt}")[-room:] if prompt and room else []
        return (tokenizer.sot_prev, *hot, *previous) if hot or previous else ()

    def _make(self, language: str, task: Task) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        return Tokenizer(self._raw, self._multilingual, task=task, language=language)
