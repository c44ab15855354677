"""Jobs of every kind in every state, made as workers make them: what a fuzzer's IDs hit."""

from __future__ import annotations

import io
import itertools
import json
import threading
import time
import wave
from dataclasses import dataclass, field

from jobs.broker import QUEUE_OF
from jobs.connect import RedisClient
from jobs.files import Store
from jobs.ids import child_id, new_id
from jobs.ledger import Claim, Delivery, Ledger, NewJob
from jobs.record import Blob, Output, Problem, Warn
from jobs.specs import SPECS
from jobs.states import Kind, Phase, Status

FIELDS = {
    Kind.TTS: {"text": "你好。", "format": "wav"},
    Kind.STT: {"language": "zh"},
    Kind.AUDIOBOOK: {"title": "书"},
    Kind.TRANSCRIPTS: {},
    Kind.BATCH: {},
    Kind.CHAPTER: {"title": "一"},
}
CHILD_OF = {Kind.AUDIOBOOK: Kind.CHAPTER, Kind.TRANSCRIPTS: Kind.STT, Kind.BATCH: Kind.TTS}
HOOK = "https://example.com/hook?token=hook-token"
SECRET_WORD = "annas-geheimnis"
BAD = Problem("no_audio_stream", "No audio", "the file has no sound")
INTERACTIVE = ("tts:1", "stt:1")
NO_LEASE_ENDS = 24 * 3600


def sound(samples: int = 1600) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(2 * samples))
    return file.getvalue()


@dataclass(frozen=True)
class Role:
    """A job that was put on the stage."""

    id: str
    kind: Kind
    status: Status
    files: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)


class Cast:
    """Makes jobs of one owner."""

    def __init__(self, redis: RedisClient, store: Store, owner: str) -> None:
        self.redis = redis
        self.store = store
        self.owner = owner
        self.ledger = Ledger(redis, lease_seconds=NO_LEASE_ENDS)

    def everyone(self) -> list[Role]:
        return [self.make(kind, status) for kind, status in itertools.product(Kind, Status)]

    def make(self, kind: Kind, status: Status) -> Role:
        if kind is Kind.CHAPTER:
            book = self._parent(Kind.AUDIOBOOK, Status.RUNNING, of_children=status)
            return Role(book.children[0], kind, status, files=["speech.wav"] if status is Status.SUCCEEDED else [])
        return self._parent(kind, status) if kind.is_parent else self._single(kind, status)

    def _single(self, kind: Kind, status: Status) -> Role:
        job_id = new_id()
        inputs = [self._blob(job_id, "recording.wav", "audio/wav", sound())] if kind is Kind.STT else []
        delivery = self._submit(job_id, kind, inputs)
        files = self.bring(delivery, status)
        return Role(job_id, kind, status, files, [blob.name for blob in inputs])

    def _parent(self, kind: Kind, status: Status, of_children: Status | None = None) -> Role:
        job_id = new_id()
        delivery = self._submit(job_id, kind, [], phase=Phase.PLANNING, sums=kind is Kind.AUDIOBOOK, unit="line")
        if status is Status.QUEUED:
            return Role(job_id, kind, status)
        if status is Status.CANCELED:
            self.ledger.cancel(job_id)
            return Role(job_id, kind, status)
        claim = self._claim(delivery)
        ends = [of_children or (Status.FAILED if status is Status.FAILED else Status.SUCCEEDED)]
        ends += [Status.FAILED] if status.is_terminal else [Status.QUEUED, Status.RUNNING]
        children = [child_id(job_id, index) for index in range(len(ends))]
        sent = [
            self._submit(child, CHILD_OF[kind], [], parent=job_id, index=index, priority=7)
            for index, child in enumerate(children)
        ]
        self.ledger.wait_for_children(claim)
        for one, end in zip(sent, ends, strict=True):
            self.bring(one, end)
        files = []
        if status.is_terminal:
            found = self.redis.hget(f"vq:job:{job_id}", "token")
            last = self.ledger.claim(job_id, int(found), "cast")
            assert isinstance(last, Claim), last
            files = self._end(last, status)
        return Role(job_id, kind, status, files, [], children)

    def _submit(self, job_id: str, kind: Kind, inputs: list[Blob], **fields: object) -> Delivery:
        spec = SPECS[kind].model_validate(FIELDS[kind]).model_dump_json()
        new = NewJob(
            **{
                "id": job_id, "kind": kind, "queue": QUEUE_OF[kind], "priority": 4, "owner": self.owner, "spec": spec,
                "inputs": inputs, "metadata": {"note": SECRET_WORD}, "webhook": HOOK, **fields,
            }
        )  # fmt: skip
        delivery = self.ledger.submit(new).delivery
        assert delivery is not None
        return delivery

    def bring(self, delivery: Delivery, status: Status) -> list[str]:
        """Take a waiting job without children to a state; return the names of its files."""
        if status is Status.QUEUED:
            return []
        if status is Status.CANCELED:
            self.ledger.cancel(delivery.id)
            return []
        claim = self._claim(delivery)
        return [] if status is Status.RUNNING else self._end(claim, status)

    def _claim(self, delivery: Delivery) -> Claim:
        claim = self.ledger.claim(delivery.id, delivery.sequence, "cast")
        assert isinstance(claim, Claim), claim
        return claim

    def _end(self, claim: Claim, status: Status) -> list[str]:
        if status is Status.FAILED:
            self.ledger.fail(claim, BAD)
            return []
        return self.succeed(claim)

    def succeed(self, claim: Claim) -> list[str]:
        job = claim.job
        if job.kind in {Kind.TTS, Kind.CHAPTER}:
            given = [("speech.wav", "audio/wav", sound()), ("speech.srt", "application/x-subrip", b"1")]
            output = {"duration_seconds": 0.1}
        elif job.kind is Kind.STT:
            heard = {"language": "zh", "duration": 0.1, "text": SECRET_WORD, "segments": [], "words": []}
            made = {"json": json.dumps(heard), "srt": "1\n", "vtt": "WEBVTT\n"}
            given = [
                (f"heard.{name}", "text/plain", made.get(name, SECRET_WORD).encode()) for name in job.spec["formats"]
            ]
            output = {"text": SECRET_WORD, "language": "zh", "duration_seconds": 0.1}
        else:
            given, output = [("results.zip", "application/zip", b"PK\5\6" + bytes(18))], {}
        blobs = tuple(self._blob(job.id, *one) for one in given)
        warnings = (Warn("quiet", "it is hard to hear", 0.05),)
        self.ledger.succeed(claim, Output(files=blobs, warnings=warnings, **output))
        return [blob.name for blob in blobs]

    def _blob(self, job_id: str, name: str, media_type: str, data: bytes) -> Blob:
        return self.store.put(job_id, data, name=name, media_type=media_type)


class Hand(threading.Thread):
    """The only worker: does interactive jobs at once, those that OpenAI's routes wait for; all others stay."""

    def __init__(self, cast: Cast) -> None:
        super().__init__(daemon=True, name="hand")
        self.cast = cast
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            found = self.cast.redis.brpop(INTERACTIVE, timeout=0.2)
            if found is None:
                continue
            job_id = json.loads(found[1])["headers"]["id"]
            token = self.cast.redis.hget(f"vq:job:{job_id}", "token")
            claim = self.cast.ledger.claim(job_id, int(token or 0), "hand")
            if isinstance(claim, Claim):
                if time.time_ns() % 4 == 0:
                    self.cast.ledger.fail(claim, BAD)
                else:
                    self.cast.succeed(claim)

    def stop(self) -> None:
        self.over.set()
        self.join()
