"""The media type of an upload by its first bytes: recordings pass, everything else is refused at the door."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from pathlib import PurePosixPath

HEAD_BYTES = 2048
"""How much of a file is looked at (a NIST header alone is 1024 bytes of text)."""

TEXT_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\v\f\r\x1b")


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magics)


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda head: head[:4] in {b"RIFF", b"RF64", b"BW64"} and head[8:12] == form


def _boxes(head: bytes) -> bool:
    return head[4:8] in {b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"pnot"} or (
        head[4:8] == b"free" and head[:2] == b"\0\0"
    )


def _mp4_type(head: bytes) -> str:
    return "audio/mp4" if head[8:11] in {b"M4A", b"M4B"} else "video/mp4"


def _mpeg_audio(head: bytes) -> bool:
    """Look for a frame header of MPEG audio: sync, and a layer, bit rate and sample rate that exist."""
    return (
        len(head) > 3
        and head[0] == 0xFF
        and head[1] & 0xE0 == 0xE0
        and head[1] & 0x18 != 0x08
        and head[1] & 0x06 in {0x02, 0x04}  # layers III and II; a byte order mark would pass for layer I
        and head[2] >> 4 not in {0, 15}
        and head[2] & 0x0C != 0x0C
    )


def _adts(head: bytes) -> bool:
    return len(head) > 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 0x0F < 13


def _transport_stream(head: bytes) -> bool:
    return any(
        len(head) > start + 2 * step and all(head[start + i * step] == 0x47 for i in range(3))
        for start, step in ((0, 188), (4, 192), (0, 204))
    )


MEDIA: tuple[tuple[Callable[[bytes], bool], str | Callable[[bytes], str]], ...] = (
    (_riff(b"WAVE"), "audio/wav"),
    (_riff(b"AVI "), "video/x-msvideo"),
    (_starts(b"riff\x2e\x91\xcf\x11"), "audio/x-w64"),
    (_starts(b"fLaC"), "audio/flac"),
    (_starts(b"OggS"), "audio/ogg"),
    (_starts(b"ID3", b"TAG"), "audio/mpeg"),
    (_boxes, _mp4_type),
    (_starts(b"\x1a\x45\xdf\xa3"), "video/webm"),
    (lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}, "audio/aiff"),
    (_starts(b".snd", b"dns."), "audio/basic"),
    (_starts(b"#!AMR"), "audio/amr"),
    (_starts(b"caff"), "audio/x-caf"),
    (_starts(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "video/x-ms-asf"),
    (_starts(b"FLV\x01"), "video/x-flv"),
    (_starts(b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3"), "video/mpeg"),
    (_starts(b"\x0b\x77"), "audio/ac3"),
    (_starts(b"\x7f\xfe\x80\x01", b"\xfe\x7f\x01\x80"), "audio/vnd.dts"),
    (_starts(b"wvpk"), "audio/x-wavpack"),
    (_starts(b"MAC "), "audio/x-ape"),
    (_starts(b"TTA1", b"TTA2"), "audio/x-tta"),
    (_starts(b"MPCK", b"MP+"), "audio/x-musepack"),
    (_starts(b"DSD ", b"FRM8"), "audio/x-dsd"),
    (_starts(b".RMF", b".ra\xfd"), "audio/x-realaudio"),
    (_starts(b"Creative Voice File"), "audio/x-voc"),
    (_starts(b"NIST_1A"), "audio/x-nist"),
    (_adts, "audio/aac"),
    (_mpeg_audio, "audio/mpeg"),
    (_transport_stream, "video/mp2t"),
)

OTHER: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (_starts(b"PK\x03\x04", b"PK\x05\x06"), "a ZIP archive"),
    (_starts(b"%PDF"), "a PDF document"),
    (_starts(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*"), "an image"),
    (_riff(b"WEBP"), "an image"),
    (_starts(b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe"), "a program"),
    (_starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd"), "a compressed file"),
    (_starts(b"\xd0\xcf\x11\xe0"), "an office document"),
    (_starts(b"MThd"), "a MIDI file, which holds notes and no sound"),
    (_starts(b"SQLite format 3"), "a database"),
)


def is_text(head: bytes) -> bool:
    """Whether these look like the first bytes of a text, in whatever encoding."""
    if head.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return True
    return not TEXT_CONTROLS.intersection(head)


def is_zip(head: bytes) -> bool:
    """Whether a file is a ZIP archive (an EPUB is one)."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def media_type_of(head: bytes, name: str = "") -> str | None:
    """Return the media type of a recording, None if it is none.

    Binary files of unknown form pass by their name's extension: FFmpeg reads more containers than have a signature.
    """
    if is_text(head):  # first: a text may begin with `TAG` or `ID3`
        return None
    for matches, found in MEDIA:
        if matches(head):
            return found(head) if callable(found) else found
    if any(matches(head) for matches, _ in OTHER):
        return None
    guessed, _ = mimetypes.guess_type(PurePosixPath(name).name)
    return guessed if guessed and guessed.startswith(("audio/", "video/")) else None


def what_is(head: bytes) -> str:
    """Return what a refused file is, for people."""
    if not head:
        return "empty"
    if (other := next((what for matches, what in OTHER if matches(head)), None)) is not None:
        return other
    return "a text" if is_text(head) else "of an unknown form"
