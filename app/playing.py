"""The sound of a job while it is being made: sentence after sentence, then the rest from the finished file.

Finished sentences are in the job's journal as 16-bit PCM, each with the silence behind it and the name of the next
one. Joined in that order they are the samples that the finished file begins with, as long as nobody evens out their
level. WAV and raw PCM at the voice's own rate are those bytes; other formats go through an encoder.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

from app.catalogues import Entries
from app.encoding import Pipe
from app.problems import Refusal
from app.services import Services
from jobs.errors import NotFound
from jobs.events import follow
from jobs.record import Blob, Job
from jobs.states import Kind, Status

READ = 64 * 1024
UNKNOWN_SIZE = 0xFFFFFFFF
"""What a WAV header says of a length that is not known yet; players read on to the end."""
UNKNOWN_RATE = 24_000
"""Hz in which a finished sound is sent whose voice no worker has told of."""
HEAD_BYTES = 4096
"""Within which the samples of our WAV files begin."""
LAST = "-1"
"""What follows the last sentence."""
LOOK_SECONDS = 1.0
"""How often a stream that waits looks whether its listener is still there."""
STREAMED = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}
"""Formats that can be heard before they are finished, and their media types."""


def sound_of(job: Job) -> Blob:
    """Return the sound of a finished job. Raises `NotFound`."""
    found = next((file for file in job.output_files if file.media_type.startswith("audio/")), None)
    if found is None:
        raise NotFound("no_sound", f"job {job.id} has no sound")
    return found


def voice_rate(found: Services, voice: str | None) -> int | None:
    """Return the Hz of a voice (None: the configured one), None while no worker has told it."""
    for fresh in (False, True):  # what was read a moment ago may be from before the worker came
        rate = _rate_in(found.catalogues.entries("voices", fresh=fresh), voice)
        if rate is not None:
            return rate
    return None


def _rate_in(voices: Entries, voice: str | None) -> int | None:
    entries = [entry for entry in voices.values() if entry.get("default")] or list(voices.values())
    if voice is not None:
        name, _, speaker = voice.rpartition("/")
        named = [voices[one] for one in (voice, name) if one in voices]
        entries = named or [entry for entry in voices.values() if speaker in entry.get("speakers", ())]
    return entries[0].get("sample_rate") if entries else None


def _always() -> bool:
    return True


class _Gone(Exception):
    """The listener has hung up."""


def _without_sound(job: Job) -> Job:
    if job.status is not Status.SUCCEEDED:
        reason = job.error["detail"] if job.error else f"the job is {job.status}"
        raise Refusal(409, "no_sound", f"job {job.id} has no sound: {reason}")
    return job


@dataclass
class Playing:
    """The sound of one TTS job or chapter, for one listener. `rate` is the voice's, `out_rate` the listener's, in Hz.

    `is_there` says, while nothing comes, whether the listener still is; `refuse` raises what a listener is told
    of a job that has not succeeded.
    """

    services: Services
    owner: str | None
    job: Job
    form: str
    rate: int
    out_rate: int
    start_seconds: float = 0.0
    is_there: Callable[[], bool] = _always
    refuse: Callable[[Job], Job] = _without_sound
    _encoder: Pipe | None = field(default=None, init=False)

    @property
    def media_type(self) -> str:
        """Media type of what is sent."""
        if self.form == "pcm":
            return f"audio/L16; rate={self.out_rate}; channels=1"
        return STREAMED[self.form]

    def sound(self) -> Generator[bytes]:
        """Yield the bytes as they come to be. Raises `Refusal` if the job ends without a sound."""
        try:
            with contextlib.suppress(_Gone), contextlib.closing(self._samples()) as samples:
                opening = next((block for block in samples if block), None)
                if opening is not None:
                    yield from self._shaped(chain([opening], samples))
                elif self._is_as_wanted:
                    yield from self._whole_file()
                else:
                    yield from self._shaped(self._rest(0))
        finally:
            if self._encoder is not None:
                self._encoder.close()

    @property
    def _is_plain(self) -> bool:
        """Whether samples are sent as they are."""
        return self.form in {"wav", "pcm"} and self.out_rate == self.rate

    @property
    def _is_as_wanted(self) -> bool:
        """Whether the finished file is what the listener wants."""
        spec = self.job.spec
        return (
            self.form == spec["format"] and self.out_rate == (spec.get("sample_rate") or self.rate) and not self._skip
        )

    @property
    def _skip(self) -> int:
        return round(self.start_seconds * self.rate)

    def _shaped(self, samples: Iterator[bytes]) -> Iterator[bytes]:
        """Yield samples as the listener wants them."""
        wanted = self._from_start(samples)
        shaped = (block for block in wanted if block) if self._is_plain else self._encoding().through(wanted)
        if self.form != "wav":
            yield from shaped
            return
        yield wav_header(self.out_rate) + next(shaped, b"")
        yield from shaped

    def _from_start(self, samples: Iterator[bytes]) -> Iterator[bytes]:
        skip = 2 * self._skip
        for block in samples:
            rest = block[skip:]
            skip -= len(block) - len(rest)
            yield rest

    def _encoding(self) -> Pipe:
        if self._encoder is None:
            self._encoder = Pipe.encoder("pcm" if self.form == "wav" else self.form, self.rate, self.out_rate)
        return self._encoder

    def _samples(self) -> Generator[bytes]:
        """Yield sentences as they are finished, nothing while none is, then what only the finished file has.

        Ends without a sample if there was none before the job's end.
        """
        sent, due = 0, ""
        found = self.services
        for job in follow(found.queries, found.announcements, self.job.id, owner=self.owner, recheck=LOOK_SECONDS):
            self.job = job or self.job
            if self.job.status.is_terminal:
                break
            if not self.is_there():
                raise _Gone
            if (
                self.job.status is Status.RUNNING
                and not self._is_plain
                and (self.job.total > 1 or not self._is_as_wanted)
            ):
                self._encoding()  # it starts while the first sentence is spoken
            for name, pcm in self._sentences(due):
                due, sent = name, sent + len(pcm)
                yield pcm
            yield b""
        self.refuse(self.job)
        if sent and due != LAST:
            yield from self._rest(sent)

    def _sentences(self, due: str) -> Iterator[tuple[str, bytes]]:
        """Yield the samples of the finished sentences from `due` on, each with the name of the one that is due then."""
        due = due or self._first()
        while due and due != LAST and (unit := self.services.ledger.unit(self.job.id, due)) is not None:
            try:
                pcm = self._pcm(unit)
            except NotFound:  # the job has just ended, and its sentences went into its file
                return
            due = str(unit["next"])
            yield due, pcm

    def _first(self) -> str:
        """Return the name of the first sentence, empty as long as it is not finished."""
        units = self.services.ledger.units(self.job.id)
        return next((name for name, unit in units.items() if unit.get("first")), "")

    def _pcm(self, unit: dict[str, Any]) -> bytes:
        before, after = (self.rate * unit[name] // 1000 for name in ("lead_ms", "pause_ms"))
        with self.services.store.open(self.job.id, Blob.from_json(unit["blob"])) as file:
            return bytes(2 * before) + file.read() + bytes(2 * after)

    def _whole_file(self) -> Iterator[bytes]:
        with self.services.store.open(self.job.id, sound_of(self.job)) as file:
            while chunk := file.read(READ):
                yield chunk

    def _rest(self, sent: int) -> Iterator[bytes]:
        """Yield the samples that the finished file has behind the first `sent` bytes of them."""
        spec, blob = self.job.spec, sound_of(self.job)
        own_rate = spec.get("sample_rate") in {None, self.rate}
        if self.job.kind is Kind.TTS and spec["format"] in {"wav", "pcm"} and own_rate:
            with self.services.store.open(self.job.id, blob) as file:
                file.seek((samples_offset(file) if spec["format"] == "wav" else 0) + sent)
                while chunk := file.read(READ):
                    yield chunk
            return
        with (
            self.services.store.path(self.job.id, blob) as path,
            contextlib.closing(self._decoder(path, sent)) as decoder,
        ):
            yield from decoder.output()

    def _decoder(self, path: Path, sent: int) -> Pipe:
        # A chapter's file has another level than its sentences; a listener should not hear where it begins.
        gain = self.job.output.get("chapter", {}).get("gain_db", 0.0) if sent else 0.0
        raw_rate = (self.job.spec.get("sample_rate") or self.rate) if self.job.spec["format"] == "pcm" else 0
        return Pipe.decoder(path, raw_rate, self.rate, sent // 2, -gain)


def wav_header(rate: int) -> bytes:
    """Return the header of a WAV file of 16-bit mono whose length is not known yet."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", UNKNOWN_SIZE, b"WAVE") + form + struct.pack("<4sI", b"data", UNKNOWN_SIZE)


def samples_offset(file: IO[bytes]) -> int:
    """Return where the samples of a WAV file begin; the position in the file is left anywhere."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, at)
        at += 8
        if name == b"data":
            return at
        at += size + size % 2
    raise NotFound("no_sound", "the file is no WAV")
