"""The sound of a job while it is being made: sentence after sentence, then the rest from the finished file.

Finished sentences are in the job's journal as 16-bit PCM, each with the silence behind it and the name of the next
one. Joined in that order they are what the finished file begins with, byte for byte, as long as the job wants
WAV or raw PCM at the voice's own rate; other formats can only be sent when they are done.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from app.problems import Refusal
from app.services import Services
from jobs.errors import NotFound
from jobs.events import follow
from jobs.record import Blob, Job
from jobs.states import Kind, Status

READ = 64 * 1024
UNKNOWN_SIZE = 0xFFFFFFFF
"""What a WAV header says of a length that is not known yet; players read on to the end."""
HEAD_BYTES = 4096
"""Within which the samples of our WAV files begin."""


def sound_of(job: Job) -> Blob:
    """Return the sound of a finished job. Raises `NotFound`."""
    found = next((file for file in job.output_files if file.media_type.startswith("audio/")), None)
    if found is None:
        raise NotFound("no_sound", f"job {job.id} has no sound")
    return found


@dataclass(frozen=True)
class Playing:
    """The sound of one TTS job, for one listener."""

    services: Services
    owner: str | None
    job: Job

    @property
    def grows(self) -> bool:
        """Whether the sound can be sent before it is finished."""
        spec = self.job.spec
        return (
            self.job.kind is Kind.TTS
            and spec["format"] in {"wav", "pcm"}
            and self._rate is not None
            and spec.get("sample_rate") in {None, self._rate}
        )

    @property
    def media_type(self) -> str:
        """Media type of a sound that grows."""
        return "audio/wav" if self.job.spec["format"] == "wav" else f"audio/L16; rate={self._rate}; channels=1"

    @property
    def _rate(self) -> int | None:
        """Hz of the job's voice, None while no worker has told it."""
        voices = self.services.catalogues.entries("voices")
        wanted = self.job.spec.get("voice")
        default = [entry for entry in voices.values() if entry.get("default")] or list(voices.values())
        if wanted is None:
            found = default
        else:
            name, _, speaker = wanted.rpartition("/")
            named = [voices[one] for one in (wanted, name) if one in voices]
            found = named or [entry for entry in voices.values() if speaker in entry.get("speakers", ())]
        return found[0].get("sample_rate") if found else None

    def sound(self) -> Iterator[bytes]:
        """Yield the bytes as they come to be. Raises `Refusal` if the job ends without a sound."""
        if self.job.spec["format"] == "wav":
            yield wav_header(self._rate or 0)
        sent, due, ended = 0, "", self.job
        found = self.services
        for job in follow(found.queries, found.announcements, self.job.id, owner=self.owner):
            ended = job or ended
            if job is not None and job.status.is_terminal:
                break
            for name, pcm in self._sentences(due):
                due, sent = name, sent + len(pcm)
                yield pcm
        yield from self._rest(ended, sent)

    def _sentences(self, due: str) -> Iterator[tuple[str, bytes]]:
        """Yield the samples of the finished sentences from `due` on, each with the name of the one that is due then."""
        due = due or self._first()
        while due and (unit := self.services.ledger.unit(self.job.id, due)) is not None:
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
        before, after = ((self._rate or 0) * unit[name] // 1000 for name in ("lead_ms", "pause_ms"))
        with self.services.store.open(self.job.id, Blob.from_json(unit["blob"])) as file:
            return bytes(2 * before) + file.read() + bytes(2 * after)

    def _rest(self, job: Job, sent: int) -> Iterator[bytes]:
        """Yield what the finished file has beyond the samples that were sent."""
        if job.status is not Status.SUCCEEDED:
            reason = job.error["detail"] if job.error else f"the job is {job.status}"
            raise Refusal(409, "no_sound", f"job {job.id} has no sound: {reason}")
        with self.services.store.open(job.id, sound_of(job)) as file:
            file.seek((samples_offset(file) if job.spec["format"] == "wav" else 0) + sent)
            while chunk := file.read(READ):
                yield chunk


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
