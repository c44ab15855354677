"""The work of an audiobook job: a book, a child for each chapter; one M4B, chapter files and a manifest at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from jobs.files import Store, scratch
from jobs.record import Blob, Job, Output, Warn, bounded
from jobs.settings import Settings
from jobs.specs import AudiobookSpec, ChapterSpec
from jobs.states import Kind, Status
from speech.books import Book, Chapter, book_of_chapters, read_book, selected, voices_by_chapter
from speech.books.building import shown_title
from speech.books.loudness import Loudness
from speech.books.m4b import BookTags, ChapterMark, Part, assemble_m4b
from speech.books.manifest import ChapterEntry, manifest
from speech.books.model import Warned
from speech.books.plan import PlanOptions, plan_of
from speech.books.reading import with_details
from speech.books.script import Pauses, expected_sentences
from speech.errors import SpeechError
from speech.text.lexicon import Lexicon
from workers.parents import LISTED_FILES, Child, Family, as_json, at_home, options_for, problem_of
from workers.session import JobFailed, Session

MASTER = ".master.m4a"
"""A chapter's AAC where its own format is another one; hidden from clients by its dot."""

PLANNED_CHAPTERS = 200
"""Most chapters of a plan in the job's record."""


@dataclass(frozen=True)
class ChapterText:
    """The input of a chapter job, and what its book's assembly knows of it.

    The source is not cut anew for that: after an update other places may be taken for headings.
    """

    number: int
    total: int
    title: str
    paragraphs: tuple[str, ...]
    book: str = ""
    """Its title."""
    author: str = ""
    skipped: Mapping[str, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return JSON."""
        return json.dumps(self.__dict__, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ChapterText:
        """Return what `to_bytes` wrote."""
        value = json.loads(data)
        return cls(**{**value, "paragraphs": tuple(value["paragraphs"])})

    @property
    def chapter(self) -> Chapter:
        """The chapter of the book."""
        return Chapter(self.title, self.paragraphs, skipped=self.skipped)

    @property
    def tags(self) -> dict[str, str]:
        """What a file of the chapter says of the book, by which players put it in its place."""
        tags = {"album": self.book, "artist": self.author, "track": f"{self.number}/{self.total}"}
        return {name: value for name, value in tags.items() if value}


@dataclass(frozen=True)
class Audiobooks:
    """Plans and assembles audiobook jobs."""

    family: Family
    store: Store
    settings: Settings

    def plan(self, session: Session) -> Output | None:
        """Submit a child for each chapter; with `plan` set, only say what would be done."""
        spec = AudiobookSpec.model_validate(session.job.spec)
        try:
            book = self._book(session.job, spec)
            self._check_size(book)
            Lexicon(spec.dictionary)  # a wrong reading is told now, and not by every chapter
            if spec.plan:
                return self._dry_run(session.job, spec, book)
            numbers = selected(spec.chapters_selected, len(book.chapters))
            voices = voices_by_chapter(spec.chapter_voices, len(book.chapters))
            self.family.submit(session, self._children(session.job, spec, book, numbers, voices))
        except SpeechError as error:
            raise JobFailed(error.code, "The book cannot be read", error.detail) from error
        return None

    def _book(self, job: Job, spec: AudiobookSpec) -> Book:
        details = {"title": spec.title, "author": spec.author}
        cover = next((blob for blob in job.inputs if blob.media_type.startswith("image/")), None)
        source = next(blob for blob in job.inputs if blob is not cover)
        with self.store.path(job.id, source) as path:
            if source.media_type == "application/json":
                chapters = json.loads(path.read_bytes())
                book = book_of_chapters((chapter["title"], chapter["text"]) for chapter in chapters)
            else:
                name = PurePosixPath(source.name)
                book = read_book(path, name.suffix)
                book = replace(book, title=book.title or name.stem)
        picture = None
        if cover is not None:
            with self.store.open(job.id, cover) as file:
                picture = file.read()
        return with_details(book, details, picture)

    def _check_size(self, book: Book) -> None:
        if book.characters > self.settings.max_book_chars:
            limit = f"{self.settings.max_book_chars} (VOXQUEUE_MAX_BOOK_CHARS)"
            raise JobFailed("book_too_big", "The book is too long", f"file: {book.characters} characters, over {limit}")
        if len(book.chapters) > self.settings.max_children:
            limit = f"{self.settings.max_children} (VOXQUEUE_MAX_CHILDREN)"
            raise JobFailed("too_many_chapters", "Too many chapters", f"file: {len(book.chapters)}, over {limit}")

    def _dry_run(self, job: Job, spec: AudiobookSpec, book: Book) -> Output:
        options = PlanOptions(
            selection=spec.chapters_selected,
            speak_titles=spec.speak_titles,
            speed=spec.speed,
            pauses=Pauses.of({str(name): value for name, value in spec.pauses.items()}),
            voice=spec.voice,
            chapter_voices=spec.chapter_voices,
            dialogue_voice=spec.dialogue_voice,
            words=spec.dictionary,
        )
        plan = plan_of(book, options).to_json()
        blob = self.store.put(job.id, as_json(plan), name="plan.json", media_type="application/json")
        if len(plan["chapters"]) > PLANNED_CHAPTERS:  # the record of a job must stay small; the file has them all
            plan = {**plan, "chapters": plan["chapters"][:PLANNED_CHAPTERS], "chapters_truncated": True}
        return Output(files=(blob,), extra={"plan": plan})

    def _children(
        self, job: Job, spec: AudiobookSpec, book: Book, numbers: Sequence[int], voices: Mapping[int, str]
    ) -> Iterator[Child]:
        options = options_for(job, ChapterSpec)
        words = self._dictionary(job)
        for number in numbers:
            chapter = book.chapters[number - 1]
            text = ChapterText(
                number=number,
                total=len(book.chapters),
                title=chapter.title,
                paragraphs=chapter.paragraphs,
                book=book.title,
                author=book.author,
                skipped=dict(chapter.skipped),
            )
            title = shown_title(chapter, number)
            own = {"voice": voices[number]} if number in voices else {}
            chapter_spec = options.model_copy(update={"title": title, **own})
            blob = self.store.put(job.id, text.to_bytes(), name="chapter.json", media_type="application/json")
            total = expected_sentences(chapter, speak_title=spec.speak_titles)
            yield Child(number, Kind.CHAPTER, chapter_spec, (blob, *words), {"path": title}, "sentence", total)

    def _dictionary(self, job: Job) -> list[Blob]:
        """Keep the dictionary as a file that all chapters read: the ledger's records must stay small."""
        words = job.spec.get("dictionary")
        if not words:
            return []
        return [self.store.put(job.id, as_json(words), name="dictionary.json", media_type="application/json")]

    def assemble(self, session: Session) -> Output:
        """Join the chapters that were spoken; what is missing is told in the manifest and as a warning."""
        job = session.job
        spec = AudiobookSpec.model_validate(job.spec)
        children = list(self.family.children(job))
        book = self._planned_book(job, spec, children[0])
        spoken = [child for child in children if child.status is Status.SUCCEEDED]
        output = Output(warnings=bounded(_warnings(book, children)))
        self.family.verdict(session, output, strict=spec.strict)
        with scratch() as folder:
            path = folder / f"{_file_stem(book.title)}.m4b"
            marks = self._join(session, path, book, spoken)
            entries = list(self._entries(children, marks))
            made = manifest(book, entries, book_file=path.name, loudness=spec.loudness, voice=spec.voice)
            files = [
                self.store.put(job.id, path, name=path.name, media_type="audio/mp4"),
                self.store.put(job.id, as_json(made), name="manifest.json", media_type="application/json"),
            ]
        listed = [at_home(blob, child.id) for child in spoken for blob in child.output_files if not blob.is_hidden]
        files += listed if len(spoken) <= LISTED_FILES else []
        return replace(output, files=tuple(files), duration_seconds=round(marks[-1].end, 3))

    def _entries(self, children: Sequence[Job], marks: Sequence[ChapterMark]) -> Iterator[ChapterEntry]:
        """Yield what each chapter has become; the marks are those of the chapters that were spoken, in order."""
        places = iter(marks)
        for child in children:
            chapter = self._text(child).chapter
            known = ChapterEntry(
                child.index,
                child.spec["title"],
                chapter.characters,
                skipped=chapter.skipped,
                voice=child.spec.get("voice"),
            )
            problem = problem_of(child)
            if problem is not None:
                yield replace(known, error=problem.detail)
                continue
            audio, *others = [blob.name for blob in child.output_files if not blob.is_hidden]
            facts = child.output["chapter"]
            yield replace(
                known,
                file=audio,
                seconds=child.output["duration_seconds"],
                start=next(places).start,
                sentences=facts["sentences"],
                skipped_sentences=facts["skipped_sentences"],
                subtitles=others,
                gain_db=facts["gain_db"],
                loudness=Loudness.from_json(facts["loudness"]),
                warnings=[warning["detail"] for warning in child.output["warnings"]],
            )

    def _planned_book(self, job: Job, spec: AudiobookSpec, child: Job) -> Book:
        """Read once more what concerns the book as a whole; its chapters are those of the plan.

        An update may have come in between, by which the source would be refused: what is spoken is not lost for that.
        """
        try:
            return self._book(job, spec)
        except SpeechError as error:
            planned = self._text(child)
            return Book(planned.book, planned.author, "", (), warnings=(Warned(error.code, error.detail),))

    def _text(self, child: Job) -> ChapterText:
        with self.store.open(child.id, child.inputs[0]) as file:
            return ChapterText.from_bytes(file.read())

    def _join(self, session: Session, path: Path, book: Book, spoken: Sequence[Job]) -> list[ChapterMark]:
        tags = BookTags(title=book.title, author=book.author, language=book.language, cover=book.cover)
        with ExitStack() as opened:
            parts = [
                Part(opened.enter_context(self.store.path(child.id, master_of(child))), str(child.spec["title"]))
                for child in spoken
            ]
            return assemble_m4b(path, parts, tags, check=session.check)


def master_of(child: Job) -> Blob:
    """Return a chapter's AAC, which the book is made of."""
    return next(blob for blob in reversed(child.output_files) if blob.name == MASTER or blob.name.endswith(".m4a"))


def _warnings(book: Book, children: Sequence[Job]) -> Iterator[Warn]:
    """Yield what is wrong with a book, the worst first, for the record shows only some; its manifest has all."""
    for child in children:
        problem = problem_of(child)
        if problem is not None:
            yield Warn(
                "chapter_failed", f"chapter {child.index} ({child.spec['title']}): {problem.detail}", child.index
            )
    yield from (Warn(warning.code, warning.detail) for warning in book.warnings)
    for child in children:
        for warning in child.output.get("warnings", [])[:20]:
            yield Warn(warning["code"], f"chapter {child.index}: {warning['detail']}", child.index)


def _file_stem(title: str) -> str:
    return "".join(c if c.isalnum() or c in " -_" else "_" for c in title).strip()[:80] or "book"
