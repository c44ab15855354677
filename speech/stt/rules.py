"""When to trust what the model wrote: pure functions over one row's words and scores."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

COMPRESSION_LIMIT = 2.4
"""UTF-8 bytes over zlib bytes above which a text repeats itself (Whisper's own rule)."""
LOGPROB_LIMIT = -1.0
"""Mean log-probability of a token below which the words are guesses (Whisper's own rule)."""
NO_SPEECH_LIMIT = 0.6
"""Probability of the no-speech token above which unsure words are silence (Whisper's own rule)."""
LOOP_TOKENS = 20
"""Tokens that a phrase repeated without a break must fill to be a loop; laughter is shorter."""
LOOP_REPEATS = 5
"""Times that the phrase must be repeated."""
LONGEST_PHRASE = 40


@dataclass(frozen=True)
class Attempt:
    """One row's tokens from one pass, and its scores."""

    tokens: tuple[int, ...]
    text: str
    avg_logprob: float
    no_speech_prob: float
    temperature: float
    looped: bool

    @property
    def compression_ratio(self) -> float:
        """How often the text says the same, as bytes before over bytes after compression."""
        return compression_ratio(self.text)


Judgement = Literal["good", "silence", "repeats", "unsure"]


def judge(attempt: Attempt) -> Judgement:
    """Say whether an attempt is kept (good, silence) or tried again at the next temperature."""
    unsure = attempt.avg_logprob < LOGPROB_LIMIT
    if unsure and attempt.no_speech_prob > NO_SPEECH_LIMIT:
        return "silence"
    if attempt.looped or attempt.compression_ratio > COMPRESSION_LIMIT:
        return "repeats"
    return "unsure" if unsure else "good"


def best(attempts: Sequence[Attempt]) -> Attempt:
    """Return the likeliest of failed attempts, one without repetition if there is one."""
    sober = [attempt for attempt in attempts if judge(attempt) != "repeats"]
    return max(sober or attempts, key=lambda attempt: attempt.avg_logprob)


def is_silence(attempt: Attempt) -> bool:
    """Say whether the model thinks that nobody speaks, and is not sure of its words either."""
    return attempt.no_speech_prob > NO_SPEECH_LIMIT and attempt.avg_logprob <= LOGPROB_LIMIT


def compression_ratio(text: str) -> float:
    """Return UTF-8 bytes over zlib bytes, as Whisper counts."""
    data = text.encode("utf-8")
    return len(data) / len(zlib.compress(data))


def loop(tokens: Sequence[int]) -> tuple[int, int] | None:
    """Return where the first loop stands after its first round, as [first, last) of the tokens to leave out."""
    for length in range(1, min(LONGEST_PHRASE, len(tokens) // LOOP_REPEATS) + 1):
        run = 0
        for place in range(length, len(tokens)):
            run = run + 1 if tokens[place] == tokens[place - length] else 0
            ended = place + 1 == len(tokens) or tokens[place + 1] != tokens[place + 1 - length]
            if ended and run + length >= max(LOOP_TOKENS, LOOP_REPEATS * length):
                return place + 1 - run, place + 1
    return None


def without_rounds(phrases: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the places of the phrases to keep: of five or more equal ones in a row only the first."""
    kept: list[int] = []
    for _, run in itertools.groupby(range(len(phrases)), key=lambda place: phrases[place]):
        places = list(run)
        kept.extend(places[:1] if len(places) >= LOOP_REPEATS else places)
    return kept


def without_loops(tokens: Sequence[int]) -> list[int]:
    """Return the tokens with each loop cut down to its first round."""
    kept = list(tokens)
    while found := loop(kept):
        del kept[found[0] : found[1]]
    return kept
