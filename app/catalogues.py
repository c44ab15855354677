"""Which voices and models there are, as the workers said it: unknown ones are refused at the door."""

from __future__ import annotations

import threading
import time
from typing import Any

from jobs.registry import Registry

FRESH_SECONDS = 2.0
SHOWN = 10
"""How many known names an error lists."""

Entries = dict[str, dict[str, Any]]


class Catalogues:
    """The registry's catalogues, read at most once in `FRESH_SECONDS`. Thread-safe."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._read: dict[str, tuple[float, Entries]] = {}

    def entries(self, catalogue: str, *, fresh: bool = False) -> Entries:
        """Return the entries of `voices` or `models` by name; `fresh` asks Redis now."""
        with self._lock:
            at, entries = self._read.get(catalogue, (-FRESH_SECONDS, {}))
        if not fresh and time.monotonic() - at < FRESH_SECONDS:
            return entries
        entries = self._registry.catalogue(catalogue)
        with self._lock:
            self._read[catalogue] = (time.monotonic(), entries)
        return entries

    def voice_problem(self, voice: str) -> str | None:
        """Return why there is no such voice, None if there is or none is known yet.

        A voice is called by its name, as `voice/speaker`, or by a speaker's name alone.
        """
        name, _, speaker = voice.rpartition("/")
        for fresh in (False, True):
            voices = self.entries("voices", fresh=fresh)
            if voice in voices or (fresh and not voices):
                return None
            speaking = [voices[name]] if name in voices else voices.values() if not name else []
            if any(speaker in entry.get("speakers", ()) for entry in speaking):
                return None
        if name in voices:
            return f"{name} has no speaker {speaker!r}; it has {_some(voices[name].get('speakers', ()))}"
        return f"there is no voice {voice!r}; known are {_some(voices)} (GET /v1/voices lists them)"

    def emotion_problem(self, voice: str, emotion: str) -> str | None:
        """Return why `voice` cannot speak with `emotion`, None if it can or is not known."""
        voices = self.entries("voices")
        entry = voices.get(voice) or voices.get(voice.rpartition("/")[0]) or {}
        emotions = entry.get("emotions")
        if emotions is None or emotion in emotions or emotion == "neutral":
            return None
        return f"the voice {voice} has no emotion {emotion!r}; it has {_some(emotions) or 'none'}"

    def model_problem(self, model: str) -> str | None:
        """Return why there is no such recogniser, None if there is or none is known yet."""
        for fresh in (False, True):
            models = self.entries("models", fresh=fresh)
            if model in models or (fresh and not models):
                return None
        return f"there is no model {model!r}; known are {_some(models)} (GET /v1/models lists them)"


def _some(names: Any) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
