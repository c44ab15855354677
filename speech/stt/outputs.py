"""A transcript as files: JSON with all there is, plain text, tables and subtitles."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal

from speech.stt.chunks import Word
from speech.stt.options import OptionError
from speech.stt.transcript import Segment, Transcript
from speech.subtitles import Cue, CueWord, to_lrc, to_srt, to_tsv, to_txt, to_vtt, wrap

Format = Literal["json", "txt", "srt", "vtt", "tsv", "lrc"]
LINE_COLUMNS = 42
"""Columns of a subtitle line; a Chinese character takes two."""
LINES = 2


def outputs(
    transcript: Transcript, formats: Iterable[str], *, max_width: int = LINE_COLUMNS, max_lines: int = LINES
) -> dict[str, str]:
    """Return the text of each format. SRT and VTT are wrapped to ``max_width`` columns and ``max_lines`` lines.

    LRC has one line at a time, of as many columns. Tables and plain text keep each segment on one line.

    Raises:
        OptionError: a format is not known.

    """
    cues = cues_of(transcript)
    wrapped = wrap(cues, max_width, max_lines)
    timed = any(cue.words for cue in wrapped)
    writers: dict[str, Callable[[], str]] = {
        "json": lambda: to_json(transcript),
        "txt": lambda: to_txt(cues),
        "srt": lambda: to_srt(wrapped),
        "vtt": lambda: to_vtt(wrapped, words=timed),
        "tsv": lambda: to_tsv(cues),
        "lrc": lambda: to_lrc(wrap(cues, max_width, 1)),
    }
    wanted = list(formats)
    unknown = [name for name in wanted if name not in writers]
    if unknown:
        raise OptionError(f"formats names {unknown[0]!r}; it may hold {', '.join(writers)}")
    return {name: writers[name]() for name in wanted}


def cues_of(transcript: Transcript) -> list[Cue]:
    """Return one cue for each segment; where channels were kept apart the text begins with `[1]`, `[2]` and so on."""
    return [_cue(segment) for segment in transcript.segments]


def _cue(segment: Segment) -> Cue:
    words = tuple(CueWord(word.start, word.end, word.text) for word in segment.words or ())
    cue = Cue(segment.start, segment.end, segment.text, words)
    return cue if segment.channel is None else replace(cue, text=f"[{segment.channel + 1}] {cue.text}")


def to_json(transcript: Transcript) -> str:
    """Return OpenAI's `verbose_json` with some more fields; seconds are rounded to milliseconds.

    Ours are the probability of the language, the words and the channel of each segment, and the warnings.
    """
    words = [word for segment in transcript.segments for word in segment.words or ()]
    timed = any(segment.words is not None for segment in transcript.segments)
    document: dict[str, Any] = {
        "task": transcript.task,
        "language": transcript.language,
        "language_probability": round(transcript.language_probability, 4),
        "duration": round(transcript.duration, 3),
        "text": transcript.text,
        "segments": [_segment(segment) for segment in transcript.segments],
        **({"words": [_word(word) for word in words]} if timed else {}),
        "usage": {"type": "duration", "seconds": round(transcript.duration)},
        "warnings": [
            {"code": notice.code, "detail": notice.detail, **({} if notice.at is None else {"at": round(notice.at, 3)})}
            for notice in transcript.warnings
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "seek": round(segment.start * 100),
        "start": round(segment.start, 3),
        "end": round(segment.end, 3),
        "text": segment.text,
        "tokens": list(segment.tokens),
        "temperature": segment.temperature,
        "avg_logprob": round(segment.avg_logprob, 4),
        "compression_ratio": round(segment.compression_ratio, 4),
        "no_speech_prob": round(segment.no_speech_prob, 6),
        **({} if segment.channel is None else {"channel": segment.channel}),
        **({} if segment.words is None else {"words": [_word(word) for word in segment.words]}),
    }


def _word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "probability": round(word.probability, 4),
    }
