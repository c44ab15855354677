"""Tokens to segments: the table of what Whisper may write."""

from __future__ import annotations

import pytest

from speech.stt.segments import Cutout, read

EOT, BEGIN = 100, 200


def t(seconds: float) -> int:
    return BEGIN + round(seconds * 50)


@pytest.mark.parametrize(
    ("tokens", "cutouts", "resume"),
    [
        ([], [], None),
        ([1, 2], [(0, 9, (1, 2))], None),
        ([t(0.4), 1, 2, t(3)], [(0.4, 3, (1, 2))], None),
        ([t(0), 1, t(2), t(2.5), 2, t(4)], [(0, 2, (1,)), (2.5, 4, (2,))], None),
        ([t(0), 1, t(2), t(2.5)], [(0, 2, (1,))], 2.0),
        ([t(0), 1, t(2), t(2.5), 2, 3], [(0, 2, (1,))], 2.0),
        ([t(0), 1, t(2), t(11), 2, t(12)], [(0, 2, (1,))], None),
        ([t(0), 1, t(11)], [(0, 9, (1,))], None),
        ([t(0), t(0), 1, 2], [(0, 0, ()), (0, 9, (1, 2))], None),
    ],
    ids=[
        "nothing",
        "no times",
        "one segment",
        "two segments",
        "left at the start of the next segment",
        "left inside the next segment",
        "a segment past the end is made up",
        "no time is past the end",
        "no place to go on from: the words are kept",
    ],
)
def test_reading(tokens: list[int], cutouts: list[tuple], resume: float | None) -> None:
    reading = read(tokens, timestamp_begin=BEGIN, eot=EOT, seconds=9.0)

    assert [cut.tokens for cut in reading.cutouts] == [cut[2] for cut in cutouts]
    assert [time for cut in reading.cutouts for time in cut[:2]] == pytest.approx(
        [x for cut in cutouts for x in cut[:2]]
    )
    assert reading.resume == resume


def test_a_tail_that_may_not_be_gone_on_with_is_kept() -> None:
    tokens = [t(0), 1, t(2), t(2.5), 2, 3]
    reading = read(tokens, timestamp_begin=BEGIN, eot=EOT, seconds=9.0, resumable=False)

    assert reading.resume is None
    assert reading.cutouts[-1] == Cutout(2.5, 9.0, (2, 3))
