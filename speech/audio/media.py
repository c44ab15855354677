"""Opening a media file safely, and what it says about itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from speech.errors import AudioError

CONTAINERS = (
    "aac,ac3,ac4,act,aea,aiff,alp,amr,amrnb,amrwb,ape,apm,asf,ast,au,avi,avr,bfstm,brstm,caf,codec2,daud,dsf,dts,dtshd,dv,"
    "eac3,flac,flv,g722,g729,gsm,gxf,hca,iff,ircam,iss,kux,loas,matroska,mlp,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,"
    "nut,ogg,oma,osq,pvf,qcp,qoa,rm,rso,sbc,shn,sox,spdif,svx,swf,tak,truehd,tta,voc,vqf,w64,wav,webm,wsaud,wtv,wv,wve,xa,xwma"
)
"""Containers that hold their own samples. Playlists (HLS, DASH, concat and the like), which name other files, image
sequences, subtitles and devices are left out on purpose: a file from a stranger must not make us read another one."""

MOST_CHANNELS = 64
"""What FFmpeg's resampler takes."""
RATES = range(1000, 12_000_001)
"""Hz; the highest are those of one-bit audio."""


@dataclass(frozen=True)
class MediaInfo:
    """What a container promises; ``duration_seconds`` is None if it promises nothing (streams, some WebM)."""

    container: str
    codec: str
    channels: int
    sample_rate: int
    duration_seconds: float | None
    has_video: bool


@dataclass(frozen=True)
class Damage:
    """A place (seconds of the decoded audio) where a file could not be read, and what was wrong there."""

    at: float
    detail: str


def open_media(path: str | Path) -> tuple[InputContainer, AudioStream]:
    """Open a local file and choose its audio stream. The caller closes the container.

    Raises :class:`AudioError`: ``empty_media`` (no bytes), ``not_media`` (no container we read), ``no_audio_stream``,
    ``undecodable`` (an absurd number of channels or rate).
    A missing file raises :class:`FileNotFoundError`.
    """
    path = Path(path)
    if not path.stat().st_size:
        raise AudioError(f"{path.name} is empty (0 bytes); send the recording again", code="empty_media")
    try:
        container = av.open(
            "file:" + os.path.abspath(path),  # noqa: PTH100 - resolve() would follow links and change the shown name
            "r",
            options={"protocol_whitelist": "file", "format_whitelist": CONTAINERS},
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise AudioError(
            f"{path.name} is not a media file that can be read ({_reason(error)}); send audio or video, such as WAV, "
            "FLAC, MP3, M4A, Ogg, MP4 or MKV",
            code="not_media",
        ) from error
    try:
        stream = _audio_of(container, path.name)
    except BaseException:
        container.close()
        raise
    return container, stream


def _audio_of(container: InputContainer, name: str) -> AudioStream:
    stream = next((each for each in container.streams.audio if each.codec_context is not None), None)
    if stream is None:
        kinds = sorted({each.type for each in container.streams})
        raise AudioError(
            f"{name} holds no audio stream (found: {', '.join(kinds) or 'nothing'})", code="no_audio_stream"
        )
    _refuse_absurd(stream, name)
    return stream


def _refuse_absurd(stream: AudioStream, name: str) -> None:
    """Raise for what no recording has: a kilobyte at 1 Hz would be half an hour, one at 2 GHz would fill the memory."""
    channels, rate = stream.codec_context.channels, stream.codec_context.sample_rate
    if channels > MOST_CHANNELS:
        raise AudioError(
            f"{name} has {channels} channels; at most {MOST_CHANNELS} can be read: send fewer", code="undecodable"
        )
    if rate and not RATES.start <= rate < RATES.stop:  # 0: known when the first frame is decoded
        limits = f"{RATES.start} to {RATES.stop - 1} Hz"
        raise AudioError(f"{name} has {rate} samples a second; {limits} can be read: resample it", code="undecodable")


def probe(path: str | Path) -> MediaInfo:
    """Look at a file's headers without decoding it. Raises like :func:`open_media`."""
    container, stream = open_media(path)
    with container:
        return describe(container, stream)


def describe(container: InputContainer, stream: AudioStream) -> MediaInfo:
    """Say what an open container promises of itself and its audio stream."""
    context = stream.codec_context
    pictures = any(each.disposition & each.disposition.attached_pic for each in container.streams.video)
    return MediaInfo(
        container=container.format.name,
        codec=context.name,
        channels=context.channels,
        sample_rate=context.sample_rate,
        duration_seconds=duration_of(container, stream),
        has_video=bool(container.streams.video) and not pictures,
    )


def duration_of(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the promised seconds of the audio stream, else of the container, else None."""
    if container.format.name == "wav" and (cut := _cut_wav_seconds(container)) is not None:
        return cut
    if stream.duration is not None and stream.time_base is not None and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration is not None and container.duration > 0:
        return container.duration / av.time_base
    return None


def _cut_wav_seconds(container: InputContainer) -> float | None:
    """Return the seconds that a truncated WAV file promised; FFmpeg believes the size of the file and says nothing."""
    path = Path(container.name.removeprefix("file:"))
    with path.open("rb") as file:
        head = file.read(8)
    held, promised = path.stat().st_size, int.from_bytes(head[4:8], "little") + 8
    streamed = promised <= 8 or promised >= 2**31  # the writer could not know the size
    if head[:4] != b"RIFF" or streamed or promised <= held or not container.duration:
        return None
    return container.duration / av.time_base * promised / held


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
