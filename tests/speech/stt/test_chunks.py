"""Clocks of chunks, and results that survive a journal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from speech.stt.chunks import RATE, ChunkResult, FileClock, Piece, Spoken, Word

seconds = st.floats(0, 1e5, allow_nan=False)
numbers = st.floats(-50, 50, allow_nan=False)
words = st.builds(Word, start=seconds, end=seconds, text=st.text(max_size=5), probability=numbers)
segments = st.builds(
    Spoken,
    start=seconds,
    end=seconds,
    text=st.text(max_size=20),
    tokens=st.lists(st.integers(0, 60_000), max_size=5).map(tuple),
    avg_logprob=numbers,
    no_speech_prob=numbers,
    compression_ratio=numbers,
    temperature=numbers,
    words=st.none() | st.lists(words, max_size=3).map(tuple),
)
results = st.builds(
    ChunkResult,
    index=st.integers(0, 10_000),
    channel=st.integers(0, 7),
    start=seconds,
    end=seconds,
    language=st.sampled_from(["", "zh", "en"]),
    languages=st.lists(st.tuples(st.sampled_from(["zh", "en"]), numbers), max_size=3).map(tuple),
    segments=st.lists(segments, max_size=3).map(tuple),
    verdict=st.sampled_from(["speech", "no_speech", "repetition"]),
    heard_to=st.none() | seconds,
)


@given(results)
def test_a_result_is_the_same_after_the_journal(result: ChunkResult) -> None:
    assert ChunkResult.from_json(result.to_json()) == result
    assert "\n" not in result.to_json()


def test_seconds_of_a_chunk_are_seconds_of_the_file() -> None:
    clock = FileClock((Piece(RATE, 3 * RATE), Piece(10 * RATE, 11 * RATE)))

    assert clock.start(0.5) == 1.5
    assert clock.start(2.0) == 10.0, "what begins on the seam belongs to the second piece"
    assert clock.end(2.0) == 3.0, "what ends there to the first"
    assert clock.end(2.5) == 10.5
    assert clock.start(99) == 11.0, "nothing is past the chunk"
    assert clock.span(1.8, 2.1) == (2.8, 3.0), "a word does not reach over the silence"


lengths = st.lists(st.tuples(st.integers(1, 5 * RATE), st.integers(0, 5 * RATE)), min_size=1, max_size=6)


@given(lengths, st.lists(st.floats(0, 30), min_size=2, max_size=10).map(sorted))
def test_order_is_kept(parts: list[tuple[int, int]], moments: list[float]) -> None:
    pieces, here = [], 0
    for length, gap in parts:
        pieces.append(Piece(here + gap, here + gap + length))
        here += gap + length
    clock = FileClock(tuple(pieces))
    starts = [clock.start(moment) for moment in moments]
    ends = [clock.end(moment) for moment in moments]

    assert starts == sorted(starts)
    assert ends == sorted(ends)
    assert all(end <= start for start, end in zip(starts, ends, strict=True))
