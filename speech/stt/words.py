"""Word times from the model's cross-attention, with punctuation attached and times that only rise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

OPENING = "\"'“¿([{-「『《（【〈"
CLOSING = "\"'.。,，!！?？:：；;”)]}、」』》）】〉…～"
FRAMES_PER_SECOND = 50
"""Positions of the encoder's output a second, in which alignments are given."""


@dataclass(frozen=True)
class TimedWord:
    """A word of a window: its text, how many text tokens it has, seconds of the window, mean token probability."""

    text: str
    tokens: int
    start: float
    end: float
    probability: float


def timed_words(alignment: Any, tokens: Sequence[int], tokenizer: Any, seconds: float) -> list[TimedWord]:
    """Return the words of one window; together they have all its text tokens.

    ``alignment`` is CTranslate2's result for ``tokens`` (text only); ``seconds`` the length of the window's audio.
    """
    texts, groups = tokenizer.split_to_word_tokens([*tokens, tokenizer.eot])
    texts, groups = texts[:-1], groups[:-1]
    pairs = np.asarray(alignment.alignments, np.int64).reshape(-1, 2)
    if not texts or not len(pairs):
        return []
    jumps = np.concatenate([[True], np.diff(pairs[:, 0]) > 0])
    # A token begins where the path first reaches it. The end token closes the last word.
    begins = pairs[jumps, 1] / FRAMES_PER_SECOND
    ends_of = np.cumsum([len(group) for group in groups])
    words, first = [], 0
    for text, last in zip(texts, ends_of.tolist(), strict=True):
        start = float(begins[min(first, len(begins) - 1)])
        end = float(begins[min(last, len(begins) - 1)])
        sure = alignment.text_token_probs[first:last]
        probability = float(np.mean(sure)) if len(sure) else 0.0
        words.append(TimedWord(text, last - first, min(start, seconds), min(end, seconds), probability))
        first = last
    return with_punctuation(words)


def with_punctuation(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Join punctuation to its word: what opens to the next, what closes to the one before; it takes no time."""
    joined: list[TimedWord] = []
    opening: list[TimedWord] = []
    for word in words:
        mark = word.text.strip()
        if mark and all(sign in CLOSING for sign in mark) and joined and not opening:
            before = joined[-1]
            if not (word.text.startswith(" ") and mark in OPENING):
                joined[-1] = replace(before, text=before.text + word.text, tokens=before.tokens + word.tokens)
                continue
        if mark and all(sign in OPENING for sign in mark):
            opening.append(word)
            continue
        text = "".join(each.text for each in opening) + word.text
        tokens = sum(each.tokens for each in opening) + word.tokens
        joined.append(replace(word, text=text, tokens=tokens))
        opening = []
    return joined + opening


def spread(words: Sequence[TimedWord], start: float, end: float) -> list[TimedWord]:
    """Return a segment's words with times inside [start, end] that rise, and none longer than is usual twice over.

    The aligner stretches a word over the silence beside it; the first and last word are drawn to the segment's times.
    """
    if not words:
        return []
    lengths = [word.end - word.start for word in words if word.end > word.start]
    usual = min(0.7, float(np.median(lengths))) if lengths else 0.0
    placed, now = [], start
    for word in words:
        first = min(max(word.start, now), end)
        last = min(max(word.end, first), end)
        placed.append(replace(word, start=first, end=last))
        now = last
    head = placed[0]
    if usual and head.end - head.start > 2 * usual:
        placed[0] = replace(head, start=head.end - 2 * usual)
    tail = placed[-1]
    if usual and tail.end - tail.start > 2 * usual:
        placed[-1] = replace(tail, end=tail.start + 2 * usual)
    return placed
