"""The work of a TTS job: text → sentences → batches → a file and its subtitles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jobs.files import Store, scratch
from jobs.record import Blob, Output, bounded
from jobs.specs import TTSSpec
from speech.audio import MEDIA_TYPES as AUDIO_TYPES
from speech.audio import encode
from speech.books.chapter import with_pauses
from speech.errors import TextError
from speech.subtitles import MEDIA_TYPES, to_json, to_lrc, to_srt, to_vtt
from speech.text import Sentence, Style
from speech.tts import Utterance
from workers.batching import BatchScheduler
from workers.catalogue import Chosen, choose_voice
from workers.reuse import Reusing
from workers.sentences import SentenceRun
from workers.session import JobFailed, Session
from workers.voices import Row, VoiceEngine, front_end

SUBTITLES: dict[str, Callable[..., str]] = {"srt": to_srt, "vtt": to_vtt, "lrc": to_lrc, "json": to_json}


@dataclass(frozen=True)
class Speaker:
    """Does TTS jobs with the voices of this process."""

    engine: VoiceEngine
    scheduler: BatchScheduler[Row, Utterance]
    store: Store
    reusing: Reusing
    window: int
    """Sentences of one job in the scheduler at once."""

    def __call__(self, session: Session) -> Output:
        """Do the job of a session. Raises `JobFailed` or `Stop`."""
        spec = TTSSpec.model_validate(session.job.spec)
        chosen = choose_voice(self.engine.entries, spec.voice)
        named = spec.model_copy(update={"voice": f"{chosen.voice.name}/{chosen.speaker}"})
        return self.reusing.answer(session, named, self.engine.identity, lambda: self._speak(session, spec, chosen))

    def _speak(self, session: Session, spec: TTSSpec, chosen: Chosen) -> Output:
        run = SentenceRun(session, self.scheduler, self.store, self.engine.entries, strict=spec.strict)
        run.prepare(_sentences(spec), chosen)
        run.speak(window=self.window)
        session.after_commit.append(run.discard_units)
        return self._publish(session.job.id, spec, run, chosen.voice.sample_rate)

    def _publish(self, job_id: str, spec: TTSSpec, run: SentenceRun, rate: int) -> Output:
        """Join the sentences into the files of the result."""
        with scratch() as folder:
            path = folder / f"speech.{spec.format}"
            blocks = with_pauses(run.audio(), run.gaps(), rate)
            seconds = encode(path, blocks, rate=rate, format=spec.format, out_rate=spec.sample_rate)
            files = [self.store.put(job_id, path, name=path.name, media_type=AUDIO_TYPES[spec.format])]
        files += self._subtitles(job_id, spec, run, rate)
        return Output(files=tuple(files), duration_seconds=round(seconds, 3), warnings=bounded(run.warnings))

    def _subtitles(self, job_id: str, spec: TTSSpec, run: SentenceRun, rate: int) -> list[Blob]:
        if not spec.subtitles:
            return []
        cues = run.cues(rate)
        return [
            self.store.put(job_id, write(cues).encode(), name=f"speech.{kind}", media_type=MEDIA_TYPES[kind])
            for kind, write in SUBTITLES.items()
            if kind in spec.subtitles
        ]


def _sentences(spec: TTSSpec) -> list[Sentence]:
    style = Style(emotion=spec.emotion or "neutral", speed=spec.speed)
    try:
        return front_end().sentences(spec.text, markup=spec.markup, style=style)
    except TextError as error:
        raise JobFailed(error.code, "The text cannot be spoken", f"text: {error.detail}") from error
