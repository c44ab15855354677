"""Writing audio as a stream: WAV and FLAC by libsndfile, MP3, Opus, M4A and AAC by FFmpeg, PCM as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import av
import numpy as np
import soundfile
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from speech.audio.pcm import to_float, to_int16
from speech.audio.resampling import Resampler, mono_frame
from speech.errors import AudioError

MEDIA_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
    "pcm": "audio/pcm",
}
FORMATS = tuple(MEDIA_TYPES)
STREAMABLE = ("pcm", "mp3", "opus", "aac", "flac")
"""What can be heard before it is finished; an M4A has its index at one end, a WAV its length."""
WAV_LIMIT_BYTES = 2**32 - 4096
"""A WAV file counts its bytes in 32 bits."""

FRAME_SAMPLES = 1 << 14
"""Samples given to an encoder in one go."""
BUFFER_BYTES = 1 << 15
"""Of a file that Python writes; a stream is flushed after each packet whatever this is."""


@dataclass(frozen=True)
class _Codec:
    container: str
    name: str
    rates: tuple[int, ...]
    bitrates: tuple[tuple[int, int], ...]
    """(up to this sample rate, bits per second), enough for one voice."""
    sample_format: str
    muxer: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    gain: float = 1.0
    """What the encoder takes away, to be given before."""


_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_BITRATES = ((24000, 64_000), (48000, 96_000))
# FFmpeg's own AAC encoder on the demo voice at 16 kHz and 64 kbit/s: its usual coder has 30 dB of SNR with bursts at
# onsets (errors of 0.17), its fast one without noise substitution 35 dB without them (0.04). The price is a pure tone
# louder than −6 dB, which the fast one clips; no voice is that.
_AAC_OPTIONS = {"aac_coder": "fast", "aac_pns": "0", "aac_tns": "0"}
_CODECS = {
    "mp3": _Codec(
        "mp3", "libmp3lame", _RATES, ((16000, 48_000), (24000, 64_000), (48000, 96_000)), "fltp", gain=1 / 0.95
    ),
    "opus": _Codec("ogg", "libopus", (8000, 12000, 16000, 24000, 48000), ((16000, 28_000), (48000, 40_000)), "flt"),
    "m4a": _Codec("ipod", "aac", _RATES, _AAC_BITRATES, "fltp", {"movflags": "+faststart"}, _AAC_OPTIONS),
    "aac": _Codec("adts", "aac", _RATES, _AAC_BITRATES, "fltp", {}, _AAC_OPTIONS),
}

# What is written to a listener, who reads while it grows: nothing that is put right at the end, nothing held back.
_STREAMED = {
    "mp3": replace(_CODECS["mp3"], muxer={"flush_packets": "1", "write_xing": "0", "id3v2_version": "0"}),
    "opus": replace(_CODECS["opus"], muxer={"flush_packets": "1", "page_duration": "200000"}),
    "aac": replace(_CODECS["aac"], muxer={"flush_packets": "1"}),
    "flac": _Codec("flac", "flac", _RATES, ((48000, 0),), "s16", {"flush_packets": "1"}),
}


class _Sink(Protocol):
    rate: int

    def write(self, audio: NDArray[Any]) -> None: ...
    def close(self) -> None: ...


class AudioWriter:
    """A file being written block by block; use it with ``with``. The caller renames the file when it is whole.

    ``rate`` is the rate of the blocks (mono float32[n] in -1..1, or int16[n]), ``out_rate`` the wanted one of the
    file, by default the same. Where a codec knows only some rates (Opus: 8, 12, 16, 24, 48 kHz) the next higher one is
    taken; ``file_rate`` says which. ``metadata``: ``title``, ``artist``, ``album``, ``genre``, ``date``, ``track``.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        rate: int,
        format: str,  # noqa: A002 - the word of the interface
        out_rate: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        if format not in MEDIA_TYPES:
            raise AudioError(
                f"unknown audio format {format!r}; choose one of {', '.join(FORMATS)}", code="unknown_format"
            )
        self.rate = rate
        self.samples = 0
        self.file_rate = file_rate(format, out_rate or rate)
        self._resampler = Resampler(rate, self.file_rate)
        self._sink: _Sink = _open(Path(path), format, self.file_rate, dict(metadata or {}))

    @property
    def seconds(self) -> float:
        """Seconds written so far."""
        return self.samples / self.rate

    def write(self, audio: NDArray[Any]) -> None:
        """Append mono samples: float32[n] in -1..1, clipped, or int16[n]."""
        if audio.ndim != 1:
            raise AudioError(
                f"a block to encode must be mono, one axis; this one has shape {audio.shape}", code="not_mono"
            )
        self.samples += audio.size
        self._sink.write(audio if self.rate == self.file_rate else self._resampler.push(audio))

    def close(self) -> None:
        """Finish the file: flush resampler and encoder, write the trailer."""
        try:
            self._sink.write(self._resampler.flush())
        finally:
            self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._sink.close()


def encode(
    path: str | Path,
    blocks: Iterable[NDArray[Any]],
    *,
    rate: int,
    format: str,  # noqa: A002 - the word of the interface
    out_rate: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> float:
    """Write mono blocks to ``path`` and return their seconds; see :class:`AudioWriter`. Memory stays bounded."""
    with AudioWriter(path, rate=rate, format=format, out_rate=out_rate, metadata=metadata) as writer:
        for block in blocks:
            writer.write(block)
    return writer.seconds


def file_rate(format: str, wanted: int) -> int:  # noqa: A002 - the word of the interface
    """Return the rate a file of this format gets: ``wanted``, or the next one its codec knows."""
    codec = _CODECS.get(format)
    if codec is None:
        return wanted
    return next((known for known in codec.rates if known >= wanted), codec.rates[-1])


def _open(path: Path, format: str, rate: int, metadata: dict[str, str]) -> _Sink:  # noqa: A002
    if format == "pcm":
        return _RawSink(path, rate)
    if format in {"wav", "flac"}:
        return _SndfileSink(path, format, rate, metadata)
    return _FFmpegSink(path, _CODECS[format], rate, metadata)


class _RawSink:
    def __init__(self, path: Path, rate: int) -> None:
        self.rate = rate
        self._file: BinaryIO = path.open("wb")

    def write(self, audio: NDArray[Any]) -> None:
        self._file.write(to_int16(audio).astype("<i2", copy=False).tobytes())

    def close(self) -> None:
        self._file.close()


class _SndfileSink:
    TAGS = {name: name for name in ("title", "artist", "album", "genre", "date", "comment")} | {"track": "tracknumber"}
    """Ours to the library's."""

    def __init__(self, path: Path, format: str, rate: int, metadata: dict[str, str]) -> None:  # noqa: A002
        self.rate = rate
        self._bytes = 0
        self._limit = WAV_LIMIT_BYTES if format == "wav" else None
        self._file = soundfile.SoundFile(path, "w", rate, 1, subtype="PCM_16", format=format.upper())
        for tag, known_as in self.TAGS.items():
            if metadata.get(tag):
                setattr(self._file, known_as, metadata[tag])

    def write(self, audio: NDArray[Any]) -> None:
        self._bytes += 2 * audio.size
        if self._limit is not None and self._bytes > self._limit:
            raise AudioError(
                f"a WAV file holds at most 4 GiB, {self._limit / 2 / self.rate / 3600:.1f} hours at {self.rate} Hz; "
                "choose flac, m4a, mp3 or opus",
                code="wav_too_long",
            )
        self._file.write(to_int16(audio))

    def close(self) -> None:
        self._file.close()


class _FFmpegSink:
    def __init__(self, target: Path | BinaryIO, codec: _Codec, rate: int, metadata: dict[str, str]) -> None:
        self.rate = rate
        self._position = 0
        self._gain = codec.gain
        file = "file:" + str(target.absolute()) if isinstance(target, Path) else target
        self._container = av.open(file, "w", format=codec.container, options=codec.muxer, buffer_size=BUFFER_BYTES)
        stream = self._container.add_stream(codec.name, rate=rate, options=codec.options)
        assert isinstance(stream, AudioStream)
        stream.codec_context.layout = "mono"
        stream.codec_context.format = codec.sample_format
        stream.codec_context.bit_rate = next(bits for limit, bits in codec.bitrates if rate <= limit)
        self._stream = stream
        self._container.metadata.update(metadata)
        self._container.start_encoding()  # so that even no audio makes a whole file

    def write(self, audio: NDArray[Any]) -> None:
        for at in range(0, audio.size, FRAME_SAMPLES):
            # Rounded as PCM would be, so that every format holds the same sound, clipped alike.
            samples = to_float(to_int16(audio[at : at + FRAME_SAMPLES])) * np.float32(self._gain)
            frame = mono_frame(samples, self.rate, self._position)
            self._position += samples.size
            self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


class Stream:
    """Audio that a listener reads while it is written: nothing is put right afterwards. Use it with ``with``.

    ``rate`` is that of the blocks (mono float32[n] in -1..1, or int16[n]), ``out_rate`` that of the stream, or the next
    higher one that the codec knows. ``format``: one of ``STREAMABLE``.
    """

    def __init__(self, target: BinaryIO, *, format: str, rate: int, out_rate: int) -> None:  # noqa: A002
        if format not in STREAMABLE:
            raise AudioError(f"{format!r} cannot be streamed; choose one of {', '.join(STREAMABLE)}", code="not_stream")
        self.rate = file_rate(format, out_rate)
        self._resampler = Resampler(rate, self.rate)
        codec = _STREAMED.get(format)
        self._sink: _Sink = _FFmpegSink(target, codec, self.rate, {}) if codec else _PipeSink(target, self.rate)

    def write(self, audio: NDArray[Any]) -> None:
        """Append a block."""
        self._sink.write(audio if self._resampler.rate == self.rate else self._resampler.push(audio))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sink.write(self._resampler.flush())
        finally:
            self._sink.close()


class _PipeSink:
    def __init__(self, target: BinaryIO, rate: int) -> None:
        self.rate = rate
        self._target = target

    def write(self, audio: NDArray[Any]) -> None:
        self._target.write(to_int16(audio).astype("<i2", copy=False).tobytes())
        self._target.flush()

    def close(self) -> None:
        self._target.flush()
