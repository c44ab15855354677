"""From what a client calls a voice to the voice and the speaker that are meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workers.session import JobFailed


@dataclass(frozen=True)
class VoiceEntry:
    """A voice as `GET /v1/voices` lists it."""

    name: str
    speakers: tuple[str, ...]
    emotions: tuple[str, ...]
    sample_rate: int

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {
            "name": self.name,
            "speakers": list(self.speakers),
            "emotions": list(self.emotions),
            "sample_rate": self.sample_rate,
        }


@dataclass(frozen=True)
class Chosen:
    """A voice and one of its speakers ("" where the voice has none to choose)."""

    voice: VoiceEntry
    speaker: str


def choose_voice(voices: Mapping[str, VoiceEntry], wanted: str | None) -> Chosen:
    """Return the voice called `wanted`: a voice, `voice/speaker`, or a speaker's name; None is the first voice.

    Raises `JobFailed` if there is no such voice.
    """
    default = next(iter(voices.values()))
    if wanted is None:
        return Chosen(default, _first_speaker(default))
    name, _, speaker = wanted.partition("/")
    if name in voices and (not speaker or speaker in voices[name].speakers):
        return Chosen(voices[name], speaker or _first_speaker(voices[name]))
    if not speaker:
        for voice in voices.values():
            if name in voice.speakers:
                return Chosen(voice, name)
    known = [
        spoken for voice in voices.values() for spoken in (voice.name, *(f"{voice.name}/{s}" for s in voice.speakers))
    ]
    raise JobFailed("unknown_voice", "Unknown voice", f"voice: there is no {wanted!r}; there are {', '.join(known)}")


def _first_speaker(voice: VoiceEntry) -> str:
    return voice.speakers[0] if voice.speakers else ""
