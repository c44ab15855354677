"""Cores that work side by side hand out what is done, begin in order, and never begin more than they can do."""

import threading

import pytest
import torch

from speech.tts.crew import Crew

PATIENCE = 30


@pytest.mark.parametrize("count", [1, 2, 5])
def test_each_item_comes_once_with_its_place(count):
    crew = Crew(count)
    assert sorted(crew.each(lambda n: n * n, range(20))) == [(n, n * n) for n in range(20)]
    assert list(crew.each(lambda n: n, [])) == []


def test_a_result_is_handed_out_while_others_work_and_no_more_begin_than_there_are_cores():
    begun, go_on = [], [threading.Event() for _ in range(5)]

    def work(n):
        begun.append(n)
        assert go_on[n].wait(PATIENCE)
        return n

    each = Crew(2).each(work, range(5))
    go_on[1].set()
    assert next(each) == (1, 1)
    assert set(begun) <= {0, 1, 2}
    for event in go_on:
        event.set()
    assert sorted(each) == [(n, n) for n in (0, 2, 3, 4)]


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_raised_reaches_the_caller_and_the_cores_work_on(count):
    crew = Crew(count)

    def work(n):
        if n == 2:
            raise ValueError("odd")
        return torch.is_inference_mode_enabled()

    with pytest.raises(ValueError, match="odd"):
        list(crew.each(work, range(4)))
    assert sorted(crew.each(work, [0, 1])) == [(0, True), (1, True)]
    assert crew.map(work, [0, 1]) == [True, True]
