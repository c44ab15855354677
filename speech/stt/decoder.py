"""The engine thread's work: one padded batch of chunks of any jobs, each row exactly as if it were alone.

faster-whisper's batched pipeline takes one language, task and prompt for all rows, tries one temperature, and loses
what follows the last closed timestamp of a window. Here each row has its own language, task and prompt; rows that fail
(unsure, repeating) are tried again without the others; a row whose window was left in the middle goes on from there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speech.stt.chunks import RATE, Chunk, ChunkResult, Spoken, Verdict, Word
from speech.stt.context import with_context
from speech.stt.cutting import SHORTEST
from speech.stt.features import log_mel, stack
from speech.stt.languages import KEPT
from speech.stt.options import DecodeOptions
from speech.stt.prompts import Prompts
from speech.stt.rules import Attempt, best, compression_ratio, is_silence, judge, loop, without_loops, without_rounds
from speech.stt.segments import PRECISION, Cutout, read
from speech.stt.words import spread, timed_words

LONGEST_OUTPUT = 448
BEST_OF = 5
"""Samples drawn for a row at a temperature above zero; the likeliest is kept."""
MOST_WINDOWS = 6
"""Times that a chunk may be left in the middle and gone on with; only a model that rambles needs more."""
AT_THE_CUT = 2 * PRECISION
"""Seconds before a cut at which a word that ends there goes on: what is cut in a pause ends earlier."""
ROOM = 2.0
"""Seconds into a window at which its last sentence must begin to be heard again: so much more of it fits then."""
UNHEARD = 1.0
"""Seconds of speech after the last word of a window that are heard once more; silence is padded by less."""
GUARD_NGRAM = 6
"""Tokens in a row that the pass against repetition does not let the model write twice."""


@dataclass(frozen=True)
class Step:
    """One pass of the ladder that failed rows climb."""

    temperature: float
    guard: bool = False


@dataclass
class Row:
    """A chunk on its way through the engine.

    ``offset`` is where its current window begins, in samples; ``audio`` is the window's: the chunk's own and, where the
    model left that in the middle, from there on into what follows the chunk.
    """

    place: int
    chunk: Chunk
    features: NDArray[np.float32]
    language: str
    audio: NDArray[np.float32]
    languages: tuple[tuple[str, float], ...] = ()
    offset: int = 0
    windows: int = 1
    segments: list[Spoken] = field(default_factory=list)
    verdict: Verdict = "speech"

    @property
    def seconds(self) -> float:
        """Length of the current window."""
        return len(self.audio) / RATE

    @property
    def own(self) -> float:
        """Seconds of the current window that are not the next chunk's as well."""
        return (len(self.chunk.audio) - self.offset) / RATE

    @property
    def options(self) -> DecodeOptions:
        """The chunk's options for its current window: what the windows before it said may belong to the prompt."""
        return with_context(self.chunk.options, self.segments)

    def result(self) -> ChunkResult:
        """Return what was heard in the chunk."""
        return ChunkResult(
            index=self.chunk.index,
            channel=self.chunk.channel,
            start=self.chunk.start,
            end=self.chunk.end,
            language=self.language,
            languages=self.languages,
            segments=tuple(self.segments),
            verdict=self.verdict,
            heard_to=max((each.end for each in self.segments if each.end > self.chunk.end), default=None),
        )


class Encoded:
    """The encoder's output for a batch, of which some rows may be wanted again.

    A CPU encodes row by row: several at once are no faster (and some 15 % slower where the allocator gives the pages of
    a layer's attention, 100 MB a row of `small`, back each time), while writing words gains from up to four or eight
    rows. A GPU encodes them together.
    """

    def __init__(self, model: Any, features: NDArray[np.float32]) -> None:
        from ctranslate2 import StorageView

        self._make = StorageView.from_array
        self._model = model
        self._features = features
        self._by_row = model.device == "cpu" and not str(model.compute_type).endswith("bfloat16")  # NumPy has none
        if self._by_row:
            each = [np.asarray(model.encode(self._make(row[None]))) for row in features]
            self._host = np.concatenate(each)
            self._all = self._make(self._host)
        else:
            self._all = model.encode(self._make(features))

    def rows(self, wanted: Sequence[int]) -> Any:
        """Return the encoder's output of these rows: copied on the CPU, encoded again on a GPU."""
        if len(wanted) == len(self._features):
            return self._all
        if self._by_row:
            return self._make(self._host[list(wanted)])
        return self._model.encode(self._make(self._features[list(wanted)]))

    def reach(self, wanted: Sequence[int]) -> list[int]:
        """Return the rows to run something cheap on to have these: on a GPU all, for there picking costs more."""
        return list(wanted) if self._by_row else list(range(len(self._features)))


class Decoder:
    """Runs batches on one loaded model (a ``ctranslate2.models.Whisper`` and what belongs to it)."""

    def __init__(self, model: Any, tokenizer: Any, extractor: Any) -> None:
        self._model = model
        self._extractor = extractor
        self.multilingual = bool(model.is_multilingual)  # cannot be asked of a model that is unloaded
        self.prompts = Prompts(tokenizer, multilingual=self.multilingual)
        self.windows_again = 0
        """Windows beyond each chunk's first: what a cut had torn, or the model had left out."""

    def bucket(self, chunk: Chunk) -> Hashable:
        """Return what rows of one batch must have in common.

        CTranslate2 takes one beam, temperature and timestamp mode for a call and wants all prompts to be equally
        long; the aligner wants one language and task. Padding short prompts would change what the model is asked.
        """
        return self._bucket(chunk.options)

    def _bucket(self, options: DecodeOptions) -> Hashable:
        aligned = (options.language, options.task) if options.word_timestamps else None
        return (
            options.beam_size,
            options.temperature,
            options.timestamps,
            len(self.prompts.before(options)),
            aligned,
        )

    def decode(self, chunks: Sequence[Chunk]) -> list[ChunkResult]:
        """Return one result for each chunk, in order. Chunks of different buckets run one bucket after the other."""
        rows = [self._row(place, chunk) for place, chunk in enumerate(chunks)]
        waiting = [row for row in rows if len(row.chunk.audio) >= SHORTEST]
        while waiting:
            groups: dict[Hashable, list[Row]] = defaultdict(list)
            for row in waiting:
                groups[self._bucket(row.options)].append(row)
            waiting = [unfinished for group in groups.values() for unfinished in self._run(group)]
        return [row.result() for row in rows]

    def _row(self, place: int, chunk: Chunk) -> Row:
        features = chunk.features
        if features is None and len(chunk.audio) >= SHORTEST:
            features = log_mel(self._extractor, chunk.audio)
        language = chunk.options.language if self.multilingual else "en"
        nothing = np.zeros((self._extractor.mel_filters.shape[0], 0), np.float32)
        return Row(place, chunk, nothing if features is None else features, language or "", chunk.audio)

    def _run(self, rows: list[Row]) -> list[Row]:
        """Decode a window of each row of one bucket; return the rows that go on in a further window."""
        encoded = Encoded(self._model, stack([row.features for row in rows]))
        self._detect(rows, encoded)
        return self._read(rows, self._attempts(rows, encoded), encoded)

    def _detect(self, rows: list[Row], encoded: Encoded) -> None:
        """Give each row without a language the likeliest one, and remember the others."""
        unknown = [i for i, row in enumerate(rows) if not row.language]
        if not unknown:
            return
        chosen = encoded.reach(unknown)
        for i, shares in zip(chosen, self._model.detect_language(encoded.rows(chosen)), strict=True):
            if i in unknown:
                found = tuple((token[2:-2], float(share)) for token, share in shares[:KEPT])
                rows[i].languages, rows[i].language = found, found[0][0]

    def _attempts(self, rows: list[Row], encoded: Encoded) -> list[Attempt]:
        """Return each row's best attempt: all rows at the first temperature, then only those that failed."""
        options = rows[0].chunk.options
        tried: list[list[Attempt]] = [[] for _ in rows]
        waiting = list(range(len(rows)))
        for step in _ladder(options):
            chosen = [i for i in waiting if not step.guard or judge(tried[i][-1]) == "repeats"]
            if not chosen:
                continue
            for i, attempt in zip(chosen, self._generate(rows, chosen, encoded, step), strict=True):
                tried[i].append(attempt)
            waiting = [i for i in waiting if judge(tried[i][-1]) not in {"good", "silence"}]
            if not waiting:
                break
        return [each[-1] if i not in waiting else best(each) for i, each in enumerate(tried)]

    def _generate(self, rows: list[Row], chosen: list[int], encoded: Encoded, step: Step) -> Iterable[Attempt]:
        options = rows[0].chunk.options
        sampling: dict[str, Any] = (
            {"beam_size": 1, "num_hypotheses": BEST_OF, "sampling_topk": 0, "sampling_temperature": step.temperature}
            if step.temperature > 0
            else {"beam_size": options.beam_size}
        )
        prompts = [self.prompts.whole(rows[i].options, rows[i].language) for i in chosen]
        found = self._model.generate(
            encoded.rows(chosen),
            prompts,
            max_length=LONGEST_OUTPUT,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=list(self.prompts.suppressed),
            no_repeat_ngram_size=GUARD_NGRAM if step.guard else 0,
            **sampling,
        )
        tokenizer = self.prompts.tokenizer("en", "transcribe")
        for result in found:
            tokens = tuple(result.sequences_ids[0])
            yield Attempt(
                tokens=tokens,
                text=tokenizer.decode(tokens).strip(),
                avg_logprob=float(result.scores[0]) * len(tokens) / (len(tokens) + 1),
                no_speech_prob=float(result.no_speech_prob),
                temperature=step.temperature,
                looped=loop([token for token in tokens if token < tokenizer.eot]) is not None,
            )

    def _read(self, rows: list[Row], attempts: list[Attempt], encoded: Encoded) -> list[Row]:
        """Add each row's segments to it; return the rows that go on in a further window."""
        tokenizer = self.prompts.tokenizer("en", "transcribe")
        cutouts: list[list[Cutout]] = []
        unfinished = []
        for row, attempt in zip(rows, attempts, strict=True):
            tokens: Sequence[int] = attempt.tokens
            if is_silence(attempt):
                tokens = ()
                row.verdict = "speech" if row.segments else "no_speech"
            elif attempt.looped:
                tokens = without_loops(tokens)
                row.verdict = "repetition"
            if not row.chunk.options.timestamps:
                tokens = [token for token in tokens if token < tokenizer.eot]
            marks = {"timestamp_begin": tokenizer.timestamp_begin, "eot": tokenizer.eot}
            reading = read(tokens, seconds=row.seconds, resumable=row.windows < MOST_WINDOWS, **marks)
            found = [cut for cut in reading.cutouts if not _torn(cut, row)]
            if attempt.looped:
                found = [found[place] for place in without_rounds([cut.tokens for cut in found])]
            resume = reading.resume
            if resume is None and row.chunk.options.timestamps and found:
                found, resume = _more_to_hear(found, row)
            cutouts.append(found)
            resumed = row.offset + round((resume or 0) * RATE)
            if resume and row.windows < MOST_WINDOWS and len(row.chunk.audio) - resumed >= SHORTEST:
                unfinished.append((row, resumed))
        words = self._words(rows, cutouts, encoded)
        for row, attempt, found, timed in zip(rows, attempts, cutouts, words, strict=True):
            row.segments.extend(self._spoken(row, attempt, found, timed))
        return [self._resumed(row, offset) for row, offset in unfinished]

    def _resumed(self, row: Row, offset: int) -> Row:
        row.offset = offset
        row.windows += 1
        self.windows_again += 1
        following = np.concatenate([row.chunk.audio[offset:], row.chunk.ahead_audio])
        row.audio = following[: self._extractor.chunk_length * RATE]
        row.features = log_mel(self._extractor, row.audio)
        return row

    def _words(self, rows: list[Row], cutouts: list[list[Cutout]], encoded: Encoded) -> list[list[list[Any]] | None]:
        """Return, for each row that asked for it, the words of each of its segments."""
        found: list[list[list[Any]] | None] = [None] * len(rows)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for i, row in enumerate(rows):
            if row.chunk.options.word_timestamps:
                found[i] = [[] for _ in cutouts[i]]
                if any(cut.tokens for cut in cutouts[i]):
                    groups[row.language, row.chunk.options.task].append(i)
        for (language, _), wanted in groups.items():
            tokenizer = self.prompts.tokenizer(language, rows[wanted[0]].chunk.options.task)
            chosen = encoded.reach(wanted)
            texts = [[token for cut in cutouts[i] for token in cut.tokens] for i in chosen]
            frames = [max(2, min(rows[i].features.shape[1], round(rows[i].seconds * 100))) for i in chosen]
            aligned = self._model.align(encoded.rows(chosen), tokenizer.sot_sequence, texts, frames)
            for i, tokens, alignment in zip(chosen, texts, aligned, strict=True):
                if i in wanted:
                    words = timed_words(alignment, tokens, tokenizer, rows[i].seconds)
                    found[i] = _shared_out(words, cutouts[i])
        return found

    def _spoken(
        self, row: Row, attempt: Attempt, cutouts: list[Cutout], words: list[list[Any]] | None
    ) -> Iterable[Spoken]:
        clock, offset = row.chunk.clock, row.offset / RATE
        tokenizer = self.prompts.tokenizer("en", "transcribe")
        for place, cut in enumerate(cutouts):
            text = tokenizer.decode(cut.tokens)
            if not text.strip():
                continue
            start = clock.start(offset + cut.start)
            timed = None
            if words is not None:
                spans = [(word, clock.span(offset + word.start, offset + word.end)) for word in words[place]]
                timed = tuple(Word(*span, word.text, word.probability) for word, span in spans)
            yield Spoken(
                start=start,
                end=max(start, clock.end(offset + cut.end)),
                text=text,
                tokens=cut.tokens,
                avg_logprob=attempt.avg_logprob,
                no_speech_prob=attempt.no_speech_prob,
                compression_ratio=compression_ratio(text.strip()),
                temperature=attempt.temperature,
                words=timed,
            )


def _more_to_hear(found: list[Cutout], row: Row) -> tuple[list[Cutout], float | None]:
    """Return the segments to keep of a window that the model says is finished, and where to go on if it is not.

    Its last words reach to the cut, so they are not the last; or speech follows of which it said nothing.
    """
    last = found[-1]
    if row.windows == 1 and row.chunk.ahead and last.end >= row.seconds - AT_THE_CUT and last.start >= ROOM:
        return found[:-1], last.start
    if row.chunk.options.vad and row.own - last.end >= UNHEARD:
        return found, last.end
    return found, None


def _torn(cut: Cutout, row: Row) -> bool:
    """Say whether a segment belongs to the next chunk only, and may be torn where the look at that ends."""
    return cut.start >= row.own and cut.end >= row.seconds - PRECISION


def _ladder(options: DecodeOptions) -> list[Step]:
    first, *rest = options.temperature
    steps = [Step(first)]
    if rest and first == 0:
        steps.append(Step(first, guard=True))
    return [*steps, *map(Step, rest)]


def _shared_out(words: list[Any], cutouts: list[Cutout]) -> list[list[Any]]:
    """Give each segment the words that begin in its tokens, with times inside the segment."""
    shares: list[list[Any]] = []
    position, bound, waiting = 0, 0, list(words)
    for cut in cutouts:
        bound += len(cut.tokens)
        mine = []
        while waiting and position < bound:
            mine.append(waiting.pop(0))
            position += mine[-1].tokens
        shares.append(spread(mine, cut.start, cut.end))
    return shares
