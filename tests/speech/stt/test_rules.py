"""When words are kept, tried again, or taken for silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech.stt.rules import LOOP_TOKENS, Attempt, best, is_silence, judge, loop, without_loops, without_rounds


def attempt(
    text: str = "今天天气很好。", logprob: float = -0.2, no_speech: float = 0.0, *, looped: bool = False
) -> Attempt:
    return Attempt((), text, logprob, no_speech, 0.0, looped)


@pytest.mark.parametrize(
    ("tried", "judgement"),
    [
        (attempt(), "good"),
        (attempt(logprob=-1.2), "unsure"),
        (attempt(logprob=-1.2, no_speech=0.9), "silence"),
        (attempt(logprob=-0.2, no_speech=0.9), "good"),
        (attempt("谢谢大家" * 30), "repeats"),
        (attempt(looped=True), "repeats"),
        (attempt(""), "good"),
    ],
)
def test_judgement(tried: Attempt, judgement: str) -> None:
    assert judge(tried) == judgement
    assert is_silence(tried) == (judgement == "silence")


def test_of_failed_attempts_the_likeliest_without_repetition_is_kept() -> None:
    repeating, unsure, worse = attempt(looped=True, logprob=-0.1), attempt(logprob=-1.5), attempt(logprob=-2.0)
    assert best([repeating, worse, unsure]) is unsure
    assert best([repeating]) is repeating


@given(
    before=st.lists(st.integers(0, 9), max_size=10),
    phrase=st.lists(st.integers(10, 19), min_size=1, max_size=8, unique=True),
    after=st.lists(st.integers(20, 29), max_size=5, unique=True),
    rounds=st.integers(5, 30),
)
def test_a_loop_is_cut_to_its_first_round(before: list[int], phrase: list[int], after: list[int], rounds: int) -> None:
    tokens = [*before, *phrase * rounds, *after]
    if loop(before) or len(phrase) * rounds < LOOP_TOKENS:
        return
    assert without_loops(tokens) == [*before, *phrase, *after]


def test_of_many_equal_segments_the_first_is_kept() -> None:
    assert without_rounds([(1,), *[(2, 3)] * 6, (4,)]) == [0, 1, 7]
    assert without_rounds([(1,), *[(2, 3)] * 4, (4,)]) == [0, 1, 2, 3, 4, 5], "four times may have been said"


def test_laughter_is_no_loop() -> None:
    assert loop([1, 2, *[7] * 10, 3]) is None
    assert loop([1, 2, 3, 4] * 4) is None


@given(st.lists(st.integers(0, 3), max_size=80))
def test_cutting_loops_ends_and_leaves_none(tokens: list[int]) -> None:
    assert loop(without_loops(tokens)) is None
