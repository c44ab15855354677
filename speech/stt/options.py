"""How one recording is to be heard: the options that a client may set, checked in one place."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from speech.errors import SpeechError

Task = Literal["transcribe", "translate"]
Channels = Literal["mix", "split"]
Script = Literal["hans", "hant", "keep"]

FALLBACK_TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LARGEST_BEAM = 32


class OptionError(SpeechError):
    """An option has a value that cannot be; the detail names the option and the limit."""

    default_code = "bad_option"


@dataclass(frozen=True)
class DecodeOptions:
    """What a client may set for one recording. Hashable, so that equal options share a batch.

    ``language`` None: detected. ``temperature`` is the ladder of sampling temperatures, one number is a ladder of one
    step (no fallback). ``timestamps`` False gives one segment per chunk, a little faster. With
    ``condition_on_previous_text`` each chunk is prompted with what was heard before it, so the chunks of the file run
    one after the other; an error may be carried on.

    Raises:
        OptionError: a value is out of its range.

    """

    language: str | None = None
    task: Task = "transcribe"
    prompt: str | None = None
    hotwords: str | None = None
    condition_on_previous_text: bool = False
    word_timestamps: bool = False
    timestamps: bool = True
    vad: bool = True
    beam_size: int = 5
    temperature: tuple[float, ...] = FALLBACK_TEMPERATURES
    channels: Channels = "mix"
    script: Script = "hans"

    def __post_init__(self) -> None:
        object.__setattr__(self, "temperature", _ladder(self.temperature))
        for name in ("prompt", "hotwords"):
            object.__setattr__(self, name, (getattr(self, name) or "").strip() or None)
        if self.language is not None and self.language not in known_languages():
            raise OptionError(
                f"language {self.language!r} is not one Whisper knows: give a code such as zh, yue, en or ja, "
                "or leave it out to have it detected"
            )
        _one_of("task", self.task, ("transcribe", "translate"))
        _one_of("channels", self.channels, ("mix", "split"))
        _one_of("script", self.script, ("hans", "hant", "keep"))
        if not 1 <= self.beam_size <= LARGEST_BEAM:
            raise OptionError(f"beam_size is {self.beam_size}; it must be from 1 to {LARGEST_BEAM}")


def _ladder(temperature: float | Iterable[float] | None) -> tuple[float, ...]:
    if temperature is None:
        return FALLBACK_TEMPERATURES
    steps = (temperature,) if isinstance(temperature, (int, float)) else tuple(temperature)
    if not steps or any(not 0.0 <= step <= 1.0 for step in steps):
        raise OptionError(f"temperature is {temperature!r}; give one number from 0 to 1, or several rising ones")
    return tuple(float(step) for step in steps)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise OptionError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


@functools.cache
def known_languages() -> frozenset[str]:
    """Return the language codes of Whisper's vocabulary."""
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return frozenset(_LANGUAGE_CODES)
