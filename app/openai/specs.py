"""OpenAI's requests, and what they mean here. What has no meaning here is tolerated, not silently wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jobs.specs import Line, Strict, STTSpec, TTSSpec
from jobs.states import Priority

PCM_RATE = 24_000
"""Hz of `pcm` on these routes."""
TRANSCRIPT_FILES: dict[str, str] = {
    "json": "txt", "text": "txt", "srt": "srt", "vtt": "vtt", "verbose_json": "json",
}  # fmt: skip
"""The file of ours that holds an answer format."""

TranscriptAnswer = Literal["json", "text", "srt", "vtt", "verbose_json"]
Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?$")]


class VoiceId(Strict):
    """A voice by its ID."""

    id: str
    """A name from `GET /v1/voices`."""


class SpeechRequest(Strict):
    """`POST /v1/audio/speech`."""

    model: str
    """`tts-1` and its like mean the configured voice; or a name from `GET /v1/models`."""
    input: Line = Field(min_length=1)
    """What to speak."""
    voice: str | VoiceId | None = None
    """`alloy` and its like mean the configured voice; or a name from `GET /v1/voices`."""
    instructions: str | None = None
    """Tolerated; the voices take no instructions."""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    """`pcm` is raw 16-bit little-endian mono of 24 kHz."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """Tempo; the voices go from 0.5 to 2."""
    stream_format: Literal["audio", "sse"] = "audio"
    """`sse`: the audio in base 64, as events."""

    def spec(self, voice: str | None) -> TTSSpec:
        """Return the job that this asks for."""
        return TTSSpec(
            text=self.input,
            voice=voice,
            speed=self.speed,
            format=self.response_format,
            sample_rate=PCM_RATE if self.response_format == "pcm" else None,
            markup="none",
            priority=Priority.INTERACTIVE,
        )


class TranslationRequest(Strict):
    """`POST /v1/audio/translations`: into English."""

    model: str
    """`whisper-1` and its like mean the configured model; or a name from `GET /v1/models`."""
    prompt: Line | None = Field(default=None, max_length=2000)
    """Text that precedes the recording: style and names."""
    response_format: TranscriptAnswer = "json"
    temperature: float | None = Field(default=None, ge=0, le=1)

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of events."""
        return False

    def spec(self, model: str | None) -> STTSpec:
        """Return the job that this asks for."""
        return STTSpec(
            model=model,
            task="translate",
            prompt=self.prompt,
            temperature=self.temperature,
            formats=[TRANSCRIPT_FILES[self.response_format]],  # type: ignore[list-item]  # a literal of the table
            priority=Priority.INTERACTIVE,
        )


class TranscriptionRequest(TranslationRequest):
    """`POST /v1/audio/transcriptions`."""

    language: Language | None = None
    """ISO 639 code; default: detected."""
    languages: list[Language] = Field(default_factory=list)
    """A single one counts as `language`; of several, the model detects."""
    keywords: list[Line] = Field(default_factory=list)
    """Words to expect."""
    timestamp_granularities: list[Literal["word", "segment"]] = Field(default=["segment"])
    """For `verbose_json`."""
    stream: bool = False
    """Events `transcript.text.delta` and `transcript.text.done`."""
    include: list[str] = Field(default_factory=list)
    """Tolerated."""
    chunking_strategy: str | None = None
    """Tolerated: recordings are always cut where nobody speaks."""

    @property
    def streamed(self) -> bool:
        """Whether the answer is a stream of events."""
        return self.stream

    @property
    def has_words(self) -> bool:
        """Whether the times of words are wanted."""
        return self.response_format == "verbose_json" and "word" in self.timestamp_granularities

    def spec(self, model: str | None) -> STTSpec:
        """Return the job that this asks for."""
        given = self.language or (self.languages[0] if len(self.languages) == 1 else None)
        language = given.replace("_", "-").partition("-")[0].lower() if given else None
        asked = super().spec(model).model_dump()
        words = {"hotwords": ", ".join(self.keywords) or None, "word_timestamps": self.has_words}
        return STTSpec.model_validate({**asked, **words, "task": "transcribe", "language": language})
