"""The work of an STT job: recording → chunks → batches → transcript, resumable by the chunk."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.files import Store, scratch
from jobs.record import Job, Output, Warn, bounded
from jobs.settings import Settings
from jobs.specs import STTSpec
from speech.errors import AudioError, SpeechError
from speech.stt import Chunk, ChunkResult, DecodeOptions, Preparation, Transcript
from speech.stt.chunks import unit_name
from speech.stt.options import FALLBACK_TEMPERATURES
from speech.stt.outputs import outputs
from speech.stt.seams import stitched
from speech.stt.transcript import NO_SPACES
from speech.subtitles import MEDIA_TYPES
from workers.batching import BatchScheduler
from workers.recognizers import RecognizerEngine
from workers.reuse import Reusing, hash_of_file
from workers.session import JobFailed, Session
from workers.units import run_units

INLINE_TEXT_BYTES = 64 * 1024
"""A longer text is in its file only."""

REACH = 3
"""Chunks before one that can have a say in where it begins: a sentence reaches over no more."""


@dataclass(frozen=True)
class Listener:
    """Does STT jobs with the recogniser of this process."""

    engine: RecognizerEngine
    scheduler: BatchScheduler[Chunk, ChunkResult]
    store: Store
    reusing: Reusing
    settings: Settings
    window: int
    """Chunks of one job in the scheduler at once; bounds the memory of a long recording."""

    def __call__(self, session: Session) -> Output:
        """Do the job of a session. Raises `JobFailed` or `Stop`."""
        with self._recording(session.job) as path:
            spec = STTSpec.model_validate(session.job.spec)
            hearing = _Hearing(self, session, spec, path)

            def work() -> dict[str, Any]:
                uploaded = session.job.inputs
                recording = uploaded[0].key if uploaded else hash_of_file(path)
                return {"recording": recording, **self.engine.identity(spec.model)}

            unnamed = spec.model_copy(update={"model": None})
            return self.reusing.answer(session, unnamed, work, hearing.run, hearing.named)

    @contextlib.contextmanager
    def _recording(self, job: Job) -> Iterator[Path]:
        """Give the recording as a file: the uploaded one, or what the URL gives."""
        if job.inputs:
            with self.store.path(job.id, job.inputs[0]) as path:
                yield path
            return
        if job.spec.get("store"):  # null in the spec of a recording at a URL
            from jobs.inputs import stored_recording

            with stored_recording(job.spec["store"], job.owner, self.settings) as path:
                yield path
            return
        from jobs.urls import fetch

        with scratch() as folder:
            path = folder / "recording"
            with path.open("wb") as file:
                for chunk in fetch(str(job.spec["url"]), self.settings, max_bytes=self.settings.max_upload_bytes):
                    file.write(chunk)
            yield path


class _Hearing:
    """One STT job under way."""

    def __init__(self, listener: Listener, session: Session, spec: STTSpec, path: Path) -> None:
        self._listener = listener
        self._session = session
        self._spec = spec
        self._path = path
        self._name = session.job.inputs[0].name if session.job.inputs else spec.store or "the recording"
        """What the client calls the file."""
        self._heard: dict[str, ChunkResult] = {}
        self._heard_seconds = 0.0
        self._next = 0
        """Index of the first chunk whose words were not told yet."""
        self._told = 0
        """Characters told so far."""

    def run(self) -> Output:
        try:
            pool, limit = self._listener.engine.pool, self._listener.settings.max_audio_seconds
            preparation = pool.prepare(self._path, self._options(), model=self._spec.model, max_seconds=limit)
            self._check_length(preparation, limit)
            self._hear(preparation)
            transcript = pool.assemble(preparation, list(self._heard.values()))
        except AudioError as error:
            detail = error.detail.replace(self._path.name, self._name)
            raise JobFailed(error.code, "The recording cannot be read", f"file: {detail}") from error
        except SpeechError as error:
            raise JobFailed(error.code, "The recording cannot be transcribed", error.detail) from error
        return self._publish(transcript)

    def _options(self) -> DecodeOptions:
        spec = self._spec
        return DecodeOptions(
            language=spec.language,
            task=spec.task,
            prompt=spec.prompt,
            hotwords=spec.hotwords,
            condition_on_previous_text=spec.condition_on_previous_text,
            word_timestamps=spec.word_timestamps,
            vad=spec.vad,
            beam_size=spec.beam_size,
            channels=spec.channels,
            script=spec.script,
            temperature=FALLBACK_TEMPERATURES if spec.temperature is None else (spec.temperature,),
        )

    def _check_length(self, preparation: Preparation, limit: float) -> None:
        if preparation.duration > limit:
            raise JobFailed(
                "too_long",
                "The recording is too long",
                f"file: {preparation.duration:.0f} s, the limit is {limit:.0f} s "
                "(VOXQUEUE_MAX_AUDIO_SECONDS); split the recording",
            )

    def _hear(self, preparation: Preparation) -> None:
        for name, unit in self._session.units().items():
            said = unit.pop("said", None)
            if said is not None:
                self._next, self._told = max((self._next, self._told), (said["next"], said["at"] + len(said["text"])))
            self._heard[name] = ChunkResult.from_json(json.dumps(unit))
        self._tell(preparation)
        self._decode(preparation, preparation.opening(self._heard))
        preparation.settle(self._heard.values())
        self._decode(preparation, preparation.chunks(self._heard))
        self._tell(preparation, finished=True)

    def _decode(self, preparation: Preparation, chunks: Iterable[Chunk]) -> None:
        def done(name: str, future: Future[ChunkResult]) -> None:
            result = future.result()
            self._heard[name] = result
            total = self._total(preparation)
            self._heard_seconds = min(total, max(self._heard_seconds, result.end))
            unit = json.loads(result.to_json()) | self._said(preparation)
            self._session.register(name, unit, done=int(self._heard_seconds), total=max(1, round(total)))

        run_units(
            self._session,
            self._listener.scheduler,
            self._prepared(iter(chunks)),
            done,
            window=1 if self._spec.condition_on_previous_text else self._listener.window,
        )

    def _said(self, preparation: Preparation) -> dict[str, object]:
        """Return what those who read along may be told now: the words up to the first chunk that is still to come.

        Nothing before the language is settled, and nothing of separate channels, whose chunks are sorted at the end.
        """
        if preparation.vote is None or self._spec.channels == "split":
            return {}
        language, text, at = preparation.vote.language, "", self._told
        while (result := self._settled(self._next, language)) is not None:
            said = self._listener.engine.pool.assemble(preparation, [result]).text
            text += said if not said or not (at + len(text)) or language in NO_SPACES else f" {said}"
            self._next += 1
        self._told += len(text)
        return {"said": {"at": at, "text": text, "next": self._next}} if text else {}

    def _settled(self, index: int, language: str) -> ChunkResult | None:
        """Return a chunk's result as the transcript will have it, if no neighbour can change it any more."""
        near = {at: self._in_language(at, language) for at in range(max(0, index - REACH), index + 2)}
        own = near[index]
        if own is None or (own.heard_to is not None and near[index + 1] is None):
            return None
        return next(each for each in stitched(filter(None, near.values())) if each.index == index)

    def _in_language(self, index: int, language: str) -> ChunkResult | None:
        found = self._heard.get(unit_name(index, language))
        detected = self._heard.get(unit_name(index, None))
        return found or (detected if detected is not None and detected.language == language else None)

    def _prepared(self, chunks: Iterator[Chunk]) -> Iterator[tuple[str, Chunk]]:
        """Yield the chunks by name; a next attempt would decode the file up to them once more."""
        while True:
            with self._session.preparing():
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk.unit, chunk

    def _total(self, preparation: Preparation) -> float:
        return max(preparation.duration, self._heard_seconds)

    def _tell(self, preparation: Preparation, *, finished: bool = False) -> None:
        self._heard_seconds = max((result.end for result in self._heard.values()), default=0.0)
        total = max(1, round(self._total(preparation)))
        self._session.progress(total if finished else int(self._heard_seconds), total, "second")

    def named(self, name: str) -> str:
        """Return a file's name as that of this recording's, with the same ending."""
        stem = Path(self._name).stem if self._session.job.inputs or self._spec.store else "transcript"
        return f"{stem}{Path('_' + name).suffix}"

    def _publish(self, transcript: Transcript) -> Output:
        job, store, spec = self._session.job, self._listener.store, self._spec
        files = [
            store.put(job.id, text.encode(), name=self.named(f".{kind}"), media_type=MEDIA_TYPES[kind])
            for kind, text in outputs(
                transcript, spec.formats, max_width=spec.max_line_width, max_lines=spec.max_line_count
            ).items()
        ]
        text: str | None = transcript.text
        extra: dict[str, object] = {}
        if len(transcript.text.encode()) > INLINE_TEXT_BYTES:
            text, extra = None, {"text_truncated": True}
        return Output(
            files=tuple(files),
            text=text,
            language=transcript.language or None,
            duration_seconds=round(transcript.duration, 3),
            warnings=bounded([Warn(notice.code, notice.detail, notice.at) for notice in transcript.warnings]),
            extra=extra,
        )
