"""One M4B of many chapters: their AAC packets are copied, not encoded again, so that a day of audio takes seconds."""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from speech.audio import decode, encode
from speech.audio.media import open_media
from speech.books.errors import BookError
from speech.books.mp4 import PACKETS_PER_CHUNK, Movie, chunk_offsets, file_type, header, title_samples
from speech.books.pictures import is_picture


@dataclass(frozen=True)
class Part:
    """A chapter's audio file and its title; AAC in M4A is copied, any other kind is encoded first."""

    path: Path
    title: str


@dataclass(frozen=True)
class BookTags:
    """What players show of a book. ``language`` is a BCP 47 tag, ``cover`` a JPEG or PNG."""

    title: str = ""
    author: str = ""
    language: str = ""
    cover: bytes | None = None
    date: str = ""
    description: str = ""
    narrator: str = ""


@dataclass(frozen=True)
class ChapterMark:
    """Where a chapter begins and ends in the book, in seconds."""

    title: str
    start: float
    end: float


def assemble_m4b(
    path: str | Path,
    parts: Sequence[Part],
    tags: BookTags,
    *,
    rate: int | None = None,
    check: Callable[[], None] | None = None,
) -> list[ChapterMark]:
    """Write an M4B with chapter marks, title, author, language and cover, and return the marks.

    Chapters come in the order given. The file appears under ``path`` only when it is whole. Memory: four bytes for
    each packet (64 ms at 16 kHz). ``rate`` is used where chapters must be encoded (default: the first one's);
    ``check`` is called between chapters and may raise. Raises :class:`BookError` (``empty_book``, ``bad_cover``),
    :class:`~speech.errors.AudioError` for a chapter that cannot be read.
    """
    path = Path(path)
    if not parts:
        raise BookError("a book needs at least one chapter that was spoken", code="empty_book")
    if tags.cover is not None and not is_picture(tags.cover):
        raise BookError("cover: must be a JPEG or PNG of at most 10 MiB", code="bad_cover")
    unfinished = path.with_name(f".{path.name}.part")
    made: list[Path] = []
    try:
        streams = _streams(parts, unfinished, made, rate)
        movie = _movie(parts, streams, tags)
        with unfinished.open("wb") as file:
            _write(file, movie, streams, check or _nothing)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        for leftover in (unfinished, *made):
            leftover.unlink(missing_ok=True)
    marks = zip(movie.titles, movie.chapter_samples(), strict=True)
    return [ChapterMark(title, start / movie.rate, end / movie.rate) for title, (start, end) in marks]


@dataclass(frozen=True)
class _Stream:
    """A chapter's AAC: its file, configuration, rate, number of packets and bits per second."""

    path: Path
    config: bytes
    rate: int
    packets: int
    bitrate: int


def _streams(parts: Sequence[Part], near: Path, made: list[Path], rate: int | None) -> list[_Stream]:
    """Look at the chapters; where they are not AAC of one kind, encode them beside the book."""
    streams = [_aac_stream(part.path) for part in parts]
    first = streams[0]
    alike = first is not None and all(each and each.config == first.config for each in streams)
    if not alike or (rate is not None and first is not None and first.rate != rate):
        wanted = rate or _rate_of(parts[0].path)
        streams = []
        for number, part in enumerate(parts):
            target = near.with_name(f"{near.name}.{number}.m4a")
            made.append(target)
            with decode(part.path, rate=wanted) as blocks:
                encode(target, blocks, rate=wanted, format="m4a")
            streams.append(_aac_stream(target))
    return [each for each in streams if each is not None]


def _aac_stream(path: Path) -> _Stream | None:
    container, stream = open_media(path)
    with container:
        config = stream.codec_context.extradata
        if stream.codec_context.name != "aac" or not config or not stream.frames:
            return None
        return _Stream(path, bytes(config), stream.codec_context.sample_rate, stream.frames, stream.bit_rate or 64_000)


def _rate_of(path: Path) -> int:
    container, stream = open_media(path)
    with container:
        return stream.codec_context.sample_rate


def _movie(parts: Sequence[Part], streams: Sequence[_Stream], tags: BookTags) -> Movie:
    """Return a movie with the right number of everything and zeros for what is only known when it is written."""
    packets = [stream.packets for stream in streams]
    total = sum(packets)
    return Movie(
        rate=streams[0].rate,
        config=streams[0].config,
        bitrate=max(stream.bitrate for stream in streams),
        titles=[part.title for part in parts],
        starts=[0, *accumulate(packets)][:-1],
        sizes=array("I", bytes(4 * total)),
        chunks=array("Q", bytes(8 * -(-total // PACKETS_PER_CHUNK))),
        language=tags.language,
        tags={
            "title": tags.title,
            "album": tags.title,
            "artist": tags.author,
            "album_artist": tags.author,
            "genre": "Audiobook",
            "date": tags.date,
            "description": tags.description,
            "narrator": tags.narrator,
        },
        cover=tags.cover,
    )


def _write(file: BinaryIO, movie: Movie, streams: Sequence[_Stream], check: Callable[[], None]) -> None:
    """Leave room for the header, write titles and packets, then go back and write the header."""
    front = file_type()
    room = len(header(movie))
    titles = title_samples(movie.titles)
    data_at = len(front) + room
    movie.titles_at = data_at + 16
    file.write(front)
    file.seek(data_at + 16)
    file.write(titles)
    packets_at = file.tell()
    index = 0
    for stream in streams:
        check()
        for packet in _packets(stream):
            movie.sizes[index] = len(packet)
            file.write(packet)
            index += 1
    end = file.tell()
    movie.chunks = chunk_offsets(movie.sizes, packets_at)
    finished = header(movie)
    assert len(finished) == room
    file.seek(len(front))
    file.write(finished)
    file.write(struct.pack(">I4sQ", 1, b"mdat", end - data_at))


def _packets(stream: _Stream) -> Iterator[bytes]:
    """Yield exactly as many packets as the file promised: a file that breaks off is an error, not a shorter book."""
    container, audio = open_media(stream.path)
    count = 0
    with container:
        for packet in container.demux(audio):
            if packet.size:
                count += 1
                yield bytes(packet)
    if count != stream.packets:
        raise BookError(
            f"{stream.path.name} holds {count} packets of audio instead of {stream.packets}; make the chapter again",
            code="damaged_chapter",
        )


def _nothing() -> None:
    """Check nothing."""
