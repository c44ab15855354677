"""The work of a chapter job, child of an audiobook: its sentences, its level, its file and its subtitles."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.files import Store, scratch
from jobs.record import Blob, Output, Warn, bounded
from jobs.specs import ChapterSpec
from speech.audio import MEDIA_TYPES as AUDIO_TYPES
from speech.books.chapter import Levels, Making, join
from speech.books.order import chapter_name
from speech.books.script import Pauses, script
from speech.errors import TextError
from speech.subtitles import MEDIA_TYPES, Cue
from speech.text import Sentence, Style
from speech.tts import Utterance
from workers.audiobooks import MASTER, ChapterText
from workers.batching import BatchScheduler
from workers.catalogue import Chosen, choose_voice
from workers.reuse import Reusing
from workers.sentences import SentenceRun
from workers.session import JobFailed, Session
from workers.speaking import SUBTITLES
from workers.turns import Turns
from workers.voices import AnyFrontEnd, Row, VoiceEngine
from workers.voices import front_end as plain_front_end
from workers.writers import Writers

BOOK_FORMAT = "m4a"
"""An M4B is made of the chapters' AAC, which is copied and not encoded again."""
MOST_SKIPPED = 100
"""Sentences of a chapter that were not spoken, as its record and the book's manifest list them at most."""
SHOWN_CHARACTERS = 100
"""Of such a sentence: in a script that nobody here can read it may be the whole chapter."""
DICTIONARIES = 8
"""Front ends with a dictionary of a book that are kept: the chapters of a book run together."""


@functools.lru_cache(maxsize=DICTIONARIES)
def _front_end(dictionary: bytes) -> AnyFrontEnd:
    return plain_front_end().with_words(json.loads(dictionary))


@dataclass(frozen=True)
class ChapterSpeaker:
    """Does chapter jobs with the voices of this process."""

    engine: VoiceEngine
    scheduler: BatchScheduler[Row, Utterance]
    store: Store
    reusing: Reusing
    turns: Turns
    writers: Writers
    window: int
    """Sentences of one chapter in the scheduler at once."""

    def __call__(self, session: Session) -> Output:
        """Do the job of a session. Raises `JobFailed` or `Stop`."""
        job = session.job
        spec = ChapterSpec.model_validate(job.spec)
        data, *words = [self._read(job.id, blob) for blob in job.inputs]
        text = ChapterText.from_bytes(data)
        front_end = _front_end(words[0]) if words else plain_front_end()
        chosen = choose_voice(self.engine.entries, spec.voice)

        def work() -> dict[str, Any]:
            said = {"title": text.title, "paragraphs": text.paragraphs}
            return {**self.engine.identity(), "readings": front_end.readings, **said}

        named = spec.model_copy(update={"voice": f"{chosen.voice.name}/{chosen.speaker}"})
        return self.reusing.answer(
            session,
            named,
            work,
            lambda: self._speak(session, spec, text, chosen, front_end),
            lambda name: _renamed(name, spec, text),
        )

    def _speak(
        self, session: Session, spec: ChapterSpec, text: ChapterText, chosen: Chosen, front_end: AnyFrontEnd
    ) -> Output:
        run = SentenceRun(session, self.scheduler, self.store, self.engine.entries, strict=spec.strict)
        with self.turns.to_speak(session) as tell:
            left = run.prepare(_sentences(spec, text, front_end), chosen)
            tell(min(self.window, left))
            run.speak(window=self.window)
        session.after_commit.append(run.discard_units)
        with self.turns.to_write(session):
            return self._publish(session, spec, text, run, chosen.voice.sample_rate)

    def _read(self, job_id: str, blob: Blob) -> bytes:
        with self.store.open(job_id, blob) as file:
            return file.read()

    def _publish(self, session: Session, spec: ChapterSpec, text: ChapterText, run: SentenceRun, rate: int) -> Output:
        job_id = session.job.id
        name = chapter_name(text.number, text.total, spec.title, spec.format)
        stem = Path(name).stem
        formats = list(dict.fromkeys([spec.format, BOOK_FORMAT]))
        tags = {} if spec.reuse else text.tags  # a kept file may become that of another book
        making = Making(rate, formats, spec.sample_rate, Levels(spec.loudness), tags)
        with scratch() as folder:
            joined = folder / "joined.pcm"
            join(joined, run.audio(), run.gaps(), rate, check=session.insist)
            made = self.writers.write(joined, folder, stem, making, title=spec.title, check=session.insist)
            audio = [
                self.store.put(job_id, path, name=_shown_name(name, path, spec), media_type=AUDIO_TYPES[kind])
                for kind, path in made.files.items()
            ]
        cues = run.cues(rate)
        warnings = [*(Warn(one.code, one.detail) for one in made.warnings), *run.warnings]
        left_out = run.left_out
        if len(left_out) > MOST_SKIPPED:  # how many warnings there are does not say it: a sentence may have several
            more = f"{len(left_out) - MOST_SKIPPED} more sentences were left out and are not listed"
            warnings.insert(0, Warn("more_skipped", more))
        facts = {
            "sentences": len(run.sentences),
            "skipped_sentences": [_shortened(sentence) for sentence in left_out[:MOST_SKIPPED]],
            "gain_db": made.gain_db,
            "loudness": made.after.to_json(),
        }
        return Output(
            files=(audio[0], *self._subtitles(job_id, stem, spec, cues), *audio[1:]),
            duration_seconds=round(made.seconds, 3),
            warnings=bounded(warnings),
            extra={"chapter": facts},
        )

    def _subtitles(self, job_id: str, stem: str, spec: ChapterSpec, cues: list[Cue]) -> list[Blob]:
        return [
            self.store.put(job_id, SUBTITLES[kind](cues).encode(), name=f"{stem}.{kind}", media_type=MEDIA_TYPES[kind])
            for kind in SUBTITLES
            if kind in spec.subtitles
        ]


def _sentences(spec: ChapterSpec, text: ChapterText, front_end: AnyFrontEnd) -> list[Sentence]:
    style = Style(emotion=spec.emotion or "neutral", speed=spec.speed)
    dialogue = None
    if spec.dialogue_voice:
        dialogue = Style(voice=spec.dialogue_voice, emotion=style.emotion, speed=style.speed)
    try:
        return script(
            text.chapter,
            front_end,
            style=style,
            dialogue=dialogue,
            speak_title=spec.speak_titles,
            pauses=Pauses.of(spec.pauses),
            markup=spec.markup,
        )
    except TextError as error:
        raise JobFailed(error.code, "The chapter cannot be spoken", f"{spec.title}: {error.detail}") from error


def _renamed(name: str, spec: ChapterSpec, text: ChapterText) -> str:
    """Return the name that a file of another book's chapter has in this one, where it may have another number."""
    return name if name == MASTER else chapter_name(text.number, text.total, spec.title, Path(name).suffix[1:])


def _shortened(sentence: str) -> str:
    return sentence if len(sentence) <= SHOWN_CHARACTERS else f"{sentence[:SHOWN_CHARACTERS]}…"


def _shown_name(name: str, path: Path, spec: ChapterSpec) -> str:
    """Hide the AAC of which the book is made, unless it is what was asked for."""
    return name if path.suffix == f".{spec.format}" else MASTER
