"""Writing a chapter: sentences and pauses to files at one level, measured before and after, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.audio import AudioWriter, Leveller, to_int16
from speech.books.loudness import MOST_GAIN_DB, Loudness, Meter, Mode, ceiling_for, gain_for
from speech.books.model import Warned

BLOCK = 1 << 16
"""Samples that are levelled and encoded in one go."""
MOSTLY_SILENT = 0.6
"""A chapter with a larger share of silence than this has lost speech, or its pauses are far too long."""
CLOSE_ENOUGH_DB = 0.2
MOST_TRIES = 3
OFF_LEVEL_DB = 1.0
"""A chapter further off its level than this is said to be so."""


@dataclass(frozen=True)
class ChapterAudio:
    """A chapter that was written. ``files`` has a path for each format; ``seconds`` is exact to the sample.

    ``before`` and ``after`` are the values of the speech as it came and of what was encoded, ``gain_db`` lies between.
    """

    title: str
    seconds: float
    gain_db: float
    before: Loudness
    after: Loudness
    files: Mapping[str, Path]
    warnings: tuple[Warned, ...] = ()


@dataclass(frozen=True)
class Levels:
    """How loud chapters are to be: ``mode`` and, if not its default, the target (LUFS for r128, dB RMS for acx)."""

    mode: Mode = "r128"
    target: float | None = None


@dataclass(frozen=True)
class Making:
    """How the chapters of a book are written. ``rate`` is that of the voice, ``out_rate`` of the files (Hz)."""

    rate: int
    formats: Sequence[str]
    out_rate: int | None = None
    levels: Levels = field(default_factory=Levels)
    metadata: Mapping[str, str] = field(default_factory=dict)


def write_chapter(
    folder: str | Path,
    stem: str,
    audio: Iterable[NDArray[Any]],
    pauses_ms: Iterable[int],
    making: Making,
    *,
    title: str = "",
    check: Callable[[], None] | None = None,
) -> ChapterAudio:
    """Write ``folder/stem.FORMAT`` for each format and return what was measured: `join`, then `encode_chapter`.

    A file appears under its name only when it is whole, so a name that exists is done.
    """
    joined = Path(folder) / f".{stem}.joined.part"
    try:
        join(joined, audio, pauses_ms, making.rate, check=check)
        return encode_chapter(joined, folder, stem, making, title=title, check=check)
    finally:
        joined.unlink(missing_ok=True)


def join(
    path: str | Path,
    audio: Iterable[NDArray[Any]],
    pauses_ms: Iterable[int],
    rate: int,
    *,
    check: Callable[[], None] | None = None,
) -> None:
    """Write sentences and their pauses one behind the other, as raw 16-bit little-endian samples.

    ``audio`` yields the sentences, mono float32[n] in -1..1 or int16[n] at ``rate`` Hz; ``pauses_ms`` has the silence
    after each. Memory is bounded by the longest sentence. ``check`` is called between blocks and may raise to stop.
    """
    check = check or _nothing
    with Path(path).open("wb") as file:
        for block in with_pauses(audio, pauses_ms, rate):
            check()
            file.write(block.astype("<i2", copy=False).data)


def encode_chapter(
    joined: str | Path,
    folder: str | Path,
    stem: str,
    making: Making,
    *,
    title: str = "",
    check: Callable[[], None] | None = None,
) -> ChapterAudio:
    """Write ``folder/stem.FORMAT`` for each format from what `join` wrote; ``joined`` stays.

    One pass measures; the next applies the gain, limits peaks, measures again and encodes. It is repeated where the
    limiter took so much that the level is missed. Memory does not grow with the chapter. ``check`` is called between
    blocks and may raise to stop.
    """
    folder, check = Path(folder), check or _nothing
    files = {kind: folder / f"{stem}.{kind}" for kind in making.formats}
    before = _measured(joined, making.rate, check)
    gain = gain_for(before, making.levels.mode, making.levels.target)
    for _ in range(MOST_TRIES):
        after, samples = _encode(files, _levelled(joined, making, gain, check), making, title)
        missing = gain_for(after, making.levels.mode, making.levels.target)
        if abs(missing) <= CLOSE_ENOUGH_DB or abs(gain + missing) > MOST_GAIN_DB:
            break
        gain += missing  # where the limiter has to work it takes loudness away
    return ChapterAudio(
        title=title,
        seconds=samples / making.rate,
        gain_db=gain,
        before=before,
        after=after,
        files=files,
        warnings=_warnings(after, making.levels, title),
    )


def with_pauses(audio: Iterable[NDArray[Any]], pauses_ms: Iterable[int], rate: int) -> Iterator[NDArray[np.int16]]:
    """Yield int16 sentences and the silence after each; the samples of a pause are ``rate * ms // 1000``."""
    for sentence, pause in zip(audio, pauses_ms, strict=True):
        yield to_int16(sentence)
        if pause:
            yield np.zeros(rate * pause // 1000, np.int16)


def _measured(joined: str | Path, rate: int, check: Callable[[], None]) -> Loudness:
    meter = Meter(rate)
    for block in _blocks(joined):
        check()
        meter.push(block)
    return meter.result()


def _levelled(
    joined: str | Path, making: Making, gain: float, check: Callable[[], None]
) -> Iterator[NDArray[np.float32]]:
    leveller = Leveller(making.rate, gain, ceiling_for(making.levels.mode))
    for block in _blocks(joined):
        check()
        yield leveller.push(block)
    yield leveller.flush()


def _blocks(joined: str | Path) -> Iterator[NDArray[np.int16]]:
    with Path(joined).open("rb") as file:
        while data := file.read(2 * BLOCK):
            yield np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def _encode(
    files: Mapping[str, Path], blocks: Iterable[NDArray[np.float32]], making: Making, title: str
) -> tuple[Loudness, int]:
    """Write all formats in one pass; return the loudness of what was written and its samples."""
    unfinished = {kind: path.with_name(f".{path.name}.part") for kind, path in files.items()}
    metadata = {"title": title, **making.metadata}
    meter, samples = Meter(making.rate, true_peak=True), 0
    try:
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    AudioWriter(path, rate=making.rate, format=kind, out_rate=making.out_rate, metadata=metadata)
                )
                for kind, path in unfinished.items()
            ]
            for block in blocks:
                meter.push(block)
                samples += block.size
                for writer in writers:
                    writer.write(block)
        for kind, path in unfinished.items():
            _sync(path)
            path.replace(files[kind])
    finally:
        for path in unfinished.values():
            path.unlink(missing_ok=True)
    return meter.result(), samples


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _warnings(after: Loudness, levels: Levels, title: str) -> tuple[Warned, ...]:
    found = []
    if after.silence > MOSTLY_SILENT:
        found.append(
            Warned("mostly_silent", f"{after.silence:.0%} of the chapter is silence; are the pauses too long?", title)
        )
    missing = gain_for(after, levels.mode, levels.target)
    if abs(missing) > OFF_LEVEL_DB:
        found.append(
            Warned("off_level", f"the chapter is {abs(missing):.1f} dB too {'quiet' if missing > 0 else 'loud'}", title)
        )
    if levels.mode == "acx":
        found += [Warned("not_acx", failure, title) for failure in after.acx_failures()]
    return tuple(found)


def _nothing() -> None:
    """Check nothing."""
