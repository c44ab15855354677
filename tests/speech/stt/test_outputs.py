"""Files of a transcript, read back by other people's parsers."""

from __future__ import annotations

import io
import json

import pytest
import srt
import webvtt

from speech.stt import Notice, OptionError, Segment, Transcript, Word, outputs
from speech.subtitles import width

ALL = ["json", "txt", "srt", "vtt", "tsv", "lrc"]
OPENAI_SEGMENT = {
    "id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob",
}  # fmt: skip


def segment(number: int, start: float, end: float, text: str, *, channel: int | None = None) -> Segment:
    step = (end - start) / len(text)
    words = tuple(Word(start + i * step, start + (i + 1) * step, sign, 0.9) for i, sign in enumerate(text))
    return Segment(start, end, text, (1, 2), -0.1, 0.0, 1.0, 0.0, words, id=number, channel=channel)


@pytest.fixture
def transcript() -> Transcript:
    long = "房子里住着三个孩子和一只小猫，还有一位画家，他们每天都在花园里唱歌、跳舞、画画，一直到天黑才回家吃饭。"
    segments = [segment(0, 0.5, 2.25, "山上有一座红色的房子。"), segment(1, 3.0, 3661.5, long)]
    notice = Notice("truncated", "breaks off", 3661.5)
    return Transcript("".join(s.text for s in segments), "zh", 0.98765, 3662.0, segments, [notice])


def test_json_has_what_openai_has_and_more(transcript: Transcript) -> None:
    document = json.loads(outputs(transcript, ["json"])["json"])

    assert {"task", "language", "duration", "text", "segments", "words", "usage"} <= document.keys()
    assert document["segments"][0].keys() >= OPENAI_SEGMENT
    assert document["segments"][0]["text"] == "山上有一座红色的房子。"
    assert document["words"][0] == {"word": "山", "start": 0.5, "end": pytest.approx(0.659), "probability": 0.9}
    assert document["language_probability"] == pytest.approx(0.9877)
    assert document["warnings"] == [{"code": "truncated", "detail": "breaks off", "at": 3661.5}]


@pytest.mark.parametrize(("columns", "lines"), [(20, 2), (12, 1), (42, 2), (9, 3)])
def test_subtitles_are_read_by_other_parsers_and_wrapped(transcript: Transcript, columns: int, lines: int) -> None:
    files = outputs(transcript, ALL, max_width=columns, max_lines=lines)
    cues = list(srt.parse(files["srt"]))
    captions = list(webvtt.from_buffer(io.StringIO(files["vtt"])))

    assert "".join(cue.content.replace("\n", "") for cue in cues) == transcript.text
    assert "".join(caption.text.replace("\n", "") for caption in captions) == transcript.text
    for content in [*(cue.content for cue in cues), *(caption.text for caption in captions)]:
        assert len(content.splitlines()) <= lines
        assert max(map(width, content.splitlines())) <= columns
    sung = [line.partition("]")[2] for line in files["lrc"].splitlines()]
    assert "".join(sung) == transcript.text
    assert max(map(width, sung)) <= columns
    assert cues[0].start.total_seconds() == 0.5
    assert cues[-1].end.total_seconds() == 3661.5


def test_text_table_and_lyrics_hold_every_segment(transcript: Transcript) -> None:
    files = outputs(transcript, ALL)
    assert files["txt"].splitlines() == [s.text for s in transcript.segments]
    assert [line.split("\t") for line in files["tsv"].splitlines()][1] == ["500", "2250", "山上有一座红色的房子。"]
    assert "[00:00.50]山上有一座红色的房子。" in files["lrc"].splitlines()


def test_speakers_are_told_apart() -> None:
    segments = [segment(0, 0, 1, "你好。", channel=0), segment(1, 1, 2, "再见。", channel=1)]
    files = outputs(Transcript("你好。再见。", "zh", 1.0, 2.0, segments), ["txt", "json"])
    assert files["txt"].splitlines() == ["[1] 你好。", "[2] 再见。"]
    assert [s["channel"] for s in json.loads(files["json"])["segments"]] == [0, 1]


def test_silence_makes_files_too() -> None:
    files = outputs(Transcript("", "", 0.0, 3.0, []), ALL)
    assert files["srt"] == files["txt"] == ""
    assert list(webvtt.from_buffer(io.StringIO(files["vtt"]))) == []
    assert json.loads(files["json"])["segments"] == []


def test_an_unknown_format_is_named(transcript: Transcript) -> None:
    with pytest.raises(OptionError, match="'docx'"):
        outputs(transcript, ["json", "docx"])
