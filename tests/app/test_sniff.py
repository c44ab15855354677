"""What passes for a recording by its first bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sniff import media_type_of, what_is

PAD = b"\0\1\2\3" * 300
RECORDINGS = {
    b"RIFF\x24\0\0\0WAVEfmt ": "audio/wav",
    b"RF64\xff\xff\xff\xffWAVEds64": "audio/wav",
    b"fLaC\0\0\0\x22": "audio/flac",
    b"OggS\0\2": "audio/ogg",
    b"ID3\4\0\0": "audio/mpeg",
    b"\xff\xfb\x90\x64": "audio/mpeg",
    b"\xff\xf3\x40\xc4": "audio/mpeg",
    b"\xff\xf1\x50\x80\x02\x1f\xfc": "audio/aac",
    b"\0\0\0\x20ftypM4A ": "audio/mp4",
    b"\0\0\0\x20ftypisom": "video/mp4",
    b"\x1a\x45\xdf\xa3\x9f\x42": "video/webm",
    b"FORM\0\0\0\0AIFF": "audio/aiff",
    b"#!AMR\n\x04": "audio/amr",
    b"caff\0\1": "audio/x-caf",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "video/x-ms-asf",
    b"FLV\x01\x05": "video/x-flv",
    b"wvpk\0": "audio/x-wavpack",
}


@pytest.mark.parametrize("head", RECORDINGS, ids=RECORDINGS.values())
def test_recordings_pass_whatever_they_are_called(head):
    assert media_type_of(head + PAD, "notes.txt") == RECORDINGS[head]


def test_a_transport_stream_shows_by_its_packets():
    assert media_type_of((b"\x47" + bytes(187)) * 4) == "video/mp2t"


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"", "empty"),
        (b"TAG team of the year", "a text"),
        (b"ID3 tags explained", "a text"),
        ("字幕".encode("utf-16"), "a text"),
        (b"<html>", "a text"),
        (b"PK\3\4" + PAD, "a ZIP archive"),
        (b"\x89PNG\r\n\x1a\n" + PAD, "an image"),
        (b"MThd" + PAD, "a MIDI file, which holds notes and no sound"),
        (b"\x7fELF" + PAD, "a program"),
    ],
)
def test_other_files_are_refused_whatever_they_are_called(head, what):
    assert media_type_of(head, "song.mp3") is None
    assert what_is(head) == what


def test_an_unknown_binary_passes_by_a_media_extension_only():
    assert media_type_of(PAD, "old.mp3") == "audio/mpeg"
    assert media_type_of(PAD, "old.bin") is None
    assert media_type_of(PAD, "old") is None


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_no_text_passes(text):
    assert media_type_of(text.encode(), "a.wav") is None


@given(st.binary(max_size=64))
def test_no_bytes_break_it(head):
    media_type_of(head, "a.wav")
    assert what_is(head)
