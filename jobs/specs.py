"""What clients ask for: one definition for the API, the ledger and the OpenAPI document."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, model_validator

from jobs.states import Kind, Priority

AudioFormat = Literal["wav", "flac", "mp3", "opus", "m4a", "aac", "pcm"]
SubtitleFormat = Literal["srt", "vtt", "lrc", "json"]
TranscriptFormat = Literal["json", "txt", "srt", "vtt", "tsv", "lrc"]
_RANGE = r"\s*[0-9]+\s*(-\s*[0-9]+\s*)?"
SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def _no_controls(text: str) -> str:
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text):
        raise ValueError("must not hold control characters; remove them")
    return text


def _known_rate(rate: int) -> int:
    if rate not in SAMPLE_RATES:
        raise ValueError(f"must be one of {', '.join(map(str, SAMPLE_RATES))} Hz")
    return rate


def _small_pairs(pairs: dict[str, str]) -> dict[str, str]:
    for key, value in pairs.items():
        if len(key) > 64 or len(value) > 512:
            raise ValueError("a key has at most 64 characters and a value at most 512")
    return pairs


def _below(path: str) -> str:
    for part in unquote(path).replace("\\", "/").split("/"):
        if part in {"", ".", ".."} or part.endswith(":"):
            raise ValueError("must be a relative path such as calls/2024/a.wav, without `.`, `..` or empty parts")
    return path


def _spoken(text: str) -> str:
    if not any(c.isalnum() for c in text):
        raise ValueError("holds nothing that can be read aloud; give it a text or leave it out")
    return text


def _ranges(text: str) -> str:
    for part in text.split(","):
        if re.fullmatch(_RANGE, part) is None:
            raise ValueError(f"must be numbers and ranges of chapters such as 1-3,5; {part.strip()[:40]!r} is neither")
    return text


Line = Annotated[str, AfterValidator(_no_controls)]
"""Text of a client without control characters."""
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_no_controls)]
"""The name of a voice, model or emotion."""


class Strict(BaseModel):
    """Unknown fields are refused: a misspelt option must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, str_strip_whitespace=False)


class Webhook(Strict):
    """Where to tell that a job has ended."""

    url: AnyHttpUrl
    """http or https; addresses of private networks are refused."""


class JobOptions(Strict):
    """What every job takes."""

    priority: Priority = Priority.NORMAL
    """`interactive` overtakes `normal`, which overtakes `bulk`."""
    timeout_seconds: float | None = Field(default=None, gt=0, le=30 * 24 * 3600)
    """Deadline from the submit on; a job past it fails."""
    webhook: Webhook | None = None
    """Called when the job has ended."""
    metadata: Annotated[dict[str, str], AfterValidator(_small_pairs)] = Field(default_factory=dict, max_length=16)
    """At most 16 pairs of strings, given back with the job."""


class VoiceOptions(Strict):
    """How to speak."""

    voice: Name | None = None
    """A name from `GET /v1/voices` (a voice, or `voice/speaker`); default: the server's."""
    emotion: Name | None = None
    """One of the voice's emotions; default: neutral."""
    speed: float = Field(default=1.0, ge=0.5, le=2.0)
    """Tempo by scaled durations; the pitch stays."""
    format: AudioFormat = "wav"
    """Container and codec of the audio. `pcm` is raw 16-bit little-endian mono."""
    sample_rate: Annotated[int, AfterValidator(_known_rate)] | None = None
    """Hz of the audio; default: the voice's."""
    subtitles: list[SubtitleFormat] = Field(default_factory=list, max_length=4)
    """Timed text beside the audio, exact from the durations."""
    markup: Literal["inline", "ssml", "none"] = "inline"
    """`inline`: marks such as `[pause:800ms]`; `ssml`: a subset of SSML; `none`: the text as it is."""
    strict: bool = False
    """Fail instead of warn when something cannot be spoken."""


class Reuse(Strict):
    """Whether earlier work may be the answer."""

    reuse: bool = False
    """May be answered with the kept result of identical work, and its result be kept for that; if the server does so
    (VOXQUEUE_REUSE_BYTES). `output.reused` then names the job that did the work."""


class TTSSpec(JobOptions, VoiceOptions, Reuse):
    """`POST /v1/tts`: speak a text."""

    text: Line = Field(min_length=1)
    """What to speak."""


class TranscriptOptions(Strict):
    """How to listen."""

    model: Name | None = None
    """A name from `GET /v1/models`; default: the server's."""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = None
    """ISO 639 code; default: detected."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """`translate` gives English."""
    prompt: Line | None = Field(default=None, max_length=2000)
    """Text that precedes the recording: style and names."""
    hotwords: Line | None = Field(default=None, max_length=1000)
    """Words to expect."""
    condition_on_previous_text: bool = False
    """Prompt each chunk with what was heard before it: names and style stay, errors too. Slower: one at a time."""
    word_timestamps: bool = False
    """Times of single words, too."""
    vad: bool = True
    """Leave out what is not speech."""
    beam_size: int = Field(default=5, ge=1, le=10)
    """Hypotheses that are followed."""
    temperature: float | None = Field(default=None, ge=0, le=1)
    """Fixed sampling temperature; default: 0, and higher only where that fails."""
    channels: Literal["mix", "split"] = "mix"
    """`split`: each channel is a speaker of its own."""
    script: Literal["hans", "hant", "keep"] = "hans"
    """Chinese characters: simplified, traditional, or as recognised."""
    formats: list[TranscriptFormat] = Field(default=["json", "txt"], min_length=1, max_length=6)
    """Files to make."""
    max_line_width: int = Field(default=42, ge=8, le=200)
    """Columns of a line of SRT, VTT and LRC; a Chinese character takes two. A longer text is broken and cut."""
    max_line_count: int = Field(default=2, ge=1, le=10)
    """Lines of a cue of SRT and VTT; what needs more becomes several cues. LRC has one."""


class Source(Strict):
    """Where a recording is that is not uploaded."""

    url: AnyHttpUrl | None = None
    """http or https address of the recording, when no file is uploaded."""
    store: Annotated[Line, AfterValidator(_below)] | None = Field(default=None, min_length=1, max_length=1000)
    """Path of the recording in the server's area of recordings (VOXQUEUE_INPUTS), when no file is uploaded."""


class STTSpec(JobOptions, TranscriptOptions, Source, Reuse):
    """`POST /v1/stt`: transcribe a recording, uploaded, at a URL or in the server's area of recordings."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.url is not None and self.store is not None:
            raise ValueError("url and store are two recordings; send one of them")
        return self


class ChapterText(Strict):
    """A chapter of a book given as JSON."""

    title: Line = Field(default="", max_length=500)
    text: Annotated[Line, AfterValidator(_spoken)]
    """A paragraph a line."""


Chapters = Annotated[
    str,
    Field(max_length=1000, json_schema_extra={"pattern": f"^{_RANGE}(,{_RANGE})*$"}),
    AfterValidator(_ranges),
]
"""Numbers and ranges of chapters, such as `1-3,5`."""


Pause = Literal["sentence", "paragraph", "title", "chapter"]


class BookOptions(Strict):
    """What makes an audiobook of a text."""

    title: Line | None = Field(default=None, max_length=500)
    author: Line | None = Field(default=None, max_length=500)
    chapters_selected: Chapters | None = None
    """Which chapters, such as `1-3,5`; default: all."""
    speak_titles: bool = True
    """Read the chapter titles aloud."""
    chapter_voices: dict[Chapters, Name] = Field(default_factory=dict, max_length=1000)
    """Voices of single chapters, such as `{"1-3,5": "demo/M7"}`; the others have `voice`."""
    dialogue_voice: Name | None = None
    """Voice of quoted speech, in all chapters."""
    dictionary: dict[str, str] = Field(default_factory=dict, max_length=5000)
    """Word to pinyin, such as `{"重庆": "chong2 qing4"}`."""
    pauses: dict[Pause, Annotated[int, Field(ge=0, le=10_000)]] = Field(default_factory=dict)
    """Silence in milliseconds after each."""
    loudness: Literal["r128", "acx", "none"] = "r128"
    """Level to which all chapters are brought."""
    plan: bool = False
    """Only say what would be done."""


class AudiobookSpec(JobOptions, VoiceOptions, BookOptions, Reuse):
    """`POST /v1/audiobooks`: speak a book."""

    chapters: list[ChapterText] | None = Field(default=None, min_length=1)
    """The text, when no file is uploaded."""
    priority: Priority = Priority.BULK


class TranscriptsSpec(JobOptions, TranscriptOptions, Reuse):
    """`POST /v1/transcripts`: transcribe many files."""

    priority: Priority = Priority.BULK


class BatchSpec(JobOptions, Reuse):
    """`POST /v1/batches`: one line, one clip."""

    priority: Priority = Priority.BULK


class ChapterSpec(JobOptions, VoiceOptions, Reuse):
    """A chapter, child of an audiobook; its text is an input blob, and so is the dictionary if there is one."""

    title: str = ""
    speak_titles: bool = True
    dialogue_voice: Name | None = None
    pauses: dict[str, int] = Field(default_factory=dict)
    loudness: Literal["r128", "acx", "none"] = "r128"


SPECS: dict[Kind, type[JobOptions]] = {
    Kind.TTS: TTSSpec,
    Kind.STT: STTSpec,
    Kind.AUDIOBOOK: AudiobookSpec,
    Kind.TRANSCRIPTS: TranscriptsSpec,
    Kind.BATCH: BatchSpec,
    Kind.CHAPTER: ChapterSpec,
}


class BatchLine(Strict):
    """A line of a batch: `{custom_id, tts: {...}}` or `{custom_id, stt: {...}}`, or the same flat, as a CSV has it."""

    custom_id: Annotated[str, Field(min_length=1, max_length=200)]
    tts: TTSSpec | None = None
    stt: STTSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _deepen(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "tts" in value or "stt" in value:
            return value
        task = "tts" if "text" in value else "stt" if "url" in value or "store" in value else None
        if task is None:
            return value
        outside = {name: value[name] for name in value if name == "custom_id"}
        return {**outside, task: {name: value[name] for name in value if name not in outside}}

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        if (self.tts is None) == (self.stt is None):
            raise ValueError("a line has either tts or stt, or else text, url or store")
        if self.stt is not None and self.stt.url is None and self.stt.store is None:
            raise ValueError("stt needs url or store in a batch")
        return self


def parse_spec(kind: Kind, fields: dict[str, Any]) -> JobOptions:
    """Return the validated spec of `fields`; raises pydantic's `ValidationError`."""
    return SPECS[kind].model_validate(fields)
