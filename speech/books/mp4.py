"""The header of an MP4 audiobook (ISO/IEC 14496-12 and -14, QuickTime File Format): one AAC track, one track of titles.

FFmpeg's own writer keeps some 60 bytes in memory for every packet of the book, refuses covers in ``.m4b`` files and
writes the header at the end. This one keeps four bytes a packet, and its header has a size that is known before the
first packet is written, so that it stands in front and players start at once.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

FRAME = 1024
"""Samples of an AAC-LC packet; also the samples of silence that the encoder puts before the sound."""
PACKETS_PER_CHUNK = 64
MOVIE_SCALE = 1000
NERO_MOST_CHAPTERS = 255
AUDIO_TRACK, TITLE_TRACK = 1, 2
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_ENCODED_UTF8 = struct.pack(">I4sI", 12, b"encd", 0x100)
LANGUAGES = {
    "zh": "zho", "en": "eng", "ja": "jpn", "ko": "kor", "fr": "fra", "de": "deu", "es": "spa", "it": "ita",
    "pt": "por", "ru": "rus", "yue": "yue",
}  # fmt: skip
TAGS = {"title": b"\xa9nam", "artist": b"\xa9ART", "album_artist": b"aART", "album": b"\xa9alb", "genre": b"\xa9gen",
        "date": b"\xa9day", "comment": b"\xa9cmt", "narrator": b"\xa9nrt", "description": b"desc"}  # fmt: skip


@dataclass
class Movie:
    """What the header describes. ``starts`` are the first packets of the chapters."""

    rate: int
    config: bytes
    """AudioSpecificConfig of the AAC stream."""
    bitrate: int
    titles: Sequence[str]
    starts: Sequence[int]
    sizes: array[int]
    """Bytes of each packet."""
    chunks: array[int]
    """File offset of every chunk of packets."""
    titles_at: int = 0
    """File offset of the title samples."""
    language: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    cover: bytes | None = None

    @property
    def samples(self) -> int:
        """Audible samples: all packets but the delay of the encoder."""
        return max(0, len(self.sizes) - 1) * FRAME

    def chapter_samples(self) -> list[tuple[int, int]]:
        """Return (start, end) of each chapter in audible samples."""
        edges = [min(start * FRAME, self.samples) for start in self.starts] + [self.samples]
        return list(pairwise(edges))


def file_type() -> bytes:
    """Return the first box of the file: an audiobook that any MP4 reader may open."""
    return _box(b"ftyp", b"M4B ", struct.pack(">I", 0), b"M4B M4A mp42isom")


def title_samples(titles: Sequence[str]) -> bytes:
    """Return the samples of the title track, one after the other."""
    return b"".join(map(_title_sample, titles))


def header(movie: Movie) -> bytes:
    """Return the ``moov`` box. Its size depends on the numbers of packets, chunks and titles, never on their values."""
    duration = _scaled(movie.samples, movie.rate)
    head = struct.pack(">IIIIIH10x", 0, 0, MOVIE_SCALE, duration, 0x10000, 0x100)
    mvhd = _full(b"mvhd", head, _MATRIX, bytes(24), struct.pack(">I", TITLE_TRACK + 1))
    return _box(b"moov", mvhd, _audio_track(movie, duration), _title_track(movie, duration), _user_data(movie))


# --- tracks


def _audio_track(movie: Movie, duration: int) -> bytes:
    edit = _full(b"elst", struct.pack(">IIiHH", 1, duration, FRAME, 1, 0))
    reference = _box(b"tref", _box(b"chap", struct.pack(">I", TITLE_TRACK)))
    packets, rest = len(movie.sizes), len(movie.sizes) % PACKETS_PER_CHUNK
    runs = [(1, PACKETS_PER_CHUNK, 1)] if packets >= PACKETS_PER_CHUNK else []
    if rest:
        runs.append((len(movie.chunks), rest, 1))
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _aac_entry(movie)),
        _full(b"stts", struct.pack(">III", 1, packets, FRAME)),
        _full(b"stsc", struct.pack(">I", len(runs)), *(struct.pack(">III", *run) for run in runs)),
        _full(b"stsz", struct.pack(">II", 0, packets), _big_endian(movie.sizes)),
        _full(b"co64", struct.pack(">I", len(movie.chunks)), _big_endian(movie.chunks)),
    )
    media = _media(movie.rate, packets * FRAME, movie.language, b"soun", _full(b"smhd", bytes(4)), table)
    return _box(b"trak", _track_head(AUDIO_TRACK, duration, enabled=True), _box(b"edts", edit), reference, media)


def _title_track(movie: Movie, duration: int) -> bytes:
    edges = [_scaled(end, movie.rate) for _, end in movie.chapter_samples()]
    lengths = [end - begin for begin, end in pairwise([0, *edges])]
    base = _full(b"gmin", struct.pack(">HHHHHH", 0x40, 0x8000, 0x8000, 0x8000, 0, 0))
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _text_entry()),
        _full(b"stts", struct.pack(">I", len(lengths)), *(struct.pack(">II", 1, length) for length in lengths)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, len(lengths), 1)),
        _full(
            b"stsz",
            struct.pack(">II", 0, len(lengths)),
            *(struct.pack(">I", len(_title_sample(title))) for title in movie.titles),
        ),
        _full(b"co64", struct.pack(">IQ", 1, movie.titles_at)),
    )
    media = _media(
        MOVIE_SCALE, sum(lengths), movie.language, b"text", _box(b"gmhd", base, _box(b"text", _MATRIX)), table
    )
    return _box(b"trak", _track_head(TITLE_TRACK, duration, enabled=False), media)


def _track_head(number: int, duration: int, *, enabled: bool) -> bytes:
    head = struct.pack(">IIIII8xHHHH", 0, 0, number, 0, duration, 0, 0, 0x100 * enabled, 0)
    return _full(b"tkhd", head, _MATRIX, bytes(8), flags=3 if enabled else 2)


def _media(scale: int, length: int, language: str, kind: bytes, head: bytes, table: bytes) -> bytes:
    mdhd = _full(b"mdhd", struct.pack(">QQIQHH", 0, 0, scale, length, _packed(language), 0), version=1)
    hdlr = _full(b"hdlr", struct.pack(">I4s12x", 0, kind), b"\x00")
    dref = _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))
    return _box(b"mdia", mdhd, hdlr, _box(b"minf", head, _box(b"dinf", dref), table))


def _aac_entry(movie: Movie) -> bytes:
    config = _descriptor(5, movie.config)
    decoder = _descriptor(4, struct.pack(">BBBHII", 0x40, 0x15, 0, 0x1800, movie.bitrate, movie.bitrate), config)
    stream = _descriptor(3, struct.pack(">HB", AUDIO_TRACK, 0), decoder, _descriptor(6, b"\x02"))
    # Two channels of 16 bits stand here whatever the stream holds; its own configuration counts.
    head = struct.pack(">6xH8xHHIHH", 1, 2, 16, 0, min(movie.rate, 0xFFFF), 0)
    return _box(b"mp4a", head, _full(b"esds", stream))


def _text_entry() -> bytes:
    # Display flags, justification, three colours, box, font: all at their defaults; players show titles their own way.
    return _box(b"text", struct.pack(">6xH", 1), struct.pack(">II6x8x8xHHBH6xB", 1, 0, 0, 0, 0, 0, 0))


def _title_sample(title: str) -> bytes:
    text = _clipped(title, 0xFFFF)
    return struct.pack(">H", len(text)) + text + _ENCODED_UTF8


# --- tags and chapters for players that do not read the title track


def _user_data(movie: Movie) -> bytes:
    tags = [_tag(TAGS[name], 1, value.encode()) for name, value in movie.tags.items() if value and name in TAGS]
    tags.append(_tag(b"stik", 21, b"\x02"))  # media kind: audiobook
    if movie.cover:
        tags.append(_tag(b"covr", 14 if movie.cover.startswith(b"\x89PNG") else 13, movie.cover))
    handler = _full(b"hdlr", struct.pack(">I4s4s8x", 0, b"mdir", b"appl"), b"\x00")
    parts = [_full(b"meta", handler, _box(b"ilst", *tags))]
    if len(movie.titles) <= NERO_MOST_CHAPTERS:
        parts.append(_nero_chapters(movie))
    return _box(b"udta", *parts)


def _nero_chapters(movie: Movie) -> bytes:
    entries = [
        struct.pack(">QB", start * 10_000_000 // movie.rate, len(text)) + text
        for (start, _), text in zip(
            movie.chapter_samples(), (_clipped(title, 255) for title in movie.titles), strict=True
        )
    ]
    return _full(b"chpl", struct.pack(">IB", 0, len(entries)), *entries, version=1)


def _tag(name: bytes, kind: int, value: bytes) -> bytes:
    return _box(name, _box(b"data", struct.pack(">II", kind, 0), value))


# --- boxes


def _box(name: bytes, *parts: bytes) -> bytes:
    return struct.pack(">I4s", 8 + sum(map(len, parts)), name) + b"".join(parts)


def _full(name: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), *parts)


def _descriptor(tag: int, *parts: bytes) -> bytes:
    size = sum(map(len, parts))
    return bytes([tag, 0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F]) + (
        b"".join(parts)
    )


def _big_endian(values: array[int]) -> bytes:
    swapped = array(values.typecode, values)
    swapped.byteswap()
    return swapped.tobytes()


def _scaled(samples: int, rate: int) -> int:
    return samples * MOVIE_SCALE // rate


def _clipped(text: str, limit: int) -> bytes:
    return text.encode()[:limit].decode(errors="ignore").encode()


def _packed(language: str) -> int:
    """Pack an ISO 639-2 code into 15 bits; ``und`` if the language is unknown."""
    first = language.replace("_", "-").split("-")[0].lower()
    code = LANGUAGES.get(first, first if len(first) == 3 and first.isascii() and first.isalpha() else "und")
    a, b, c = (ord(letter) - 0x60 for letter in code)
    return a << 10 | b << 5 | c


def chunk_offsets(sizes: Iterable[int], begin: int) -> array[int]:
    """Return the file offset of every chunk of packets that are written one after the other from ``begin`` on."""
    offsets, at = array("Q"), begin
    for index, size in enumerate(sizes):
        if index % PACKETS_PER_CHUNK == 0:
            offsets.append(at)
        at += size
    return offsets
