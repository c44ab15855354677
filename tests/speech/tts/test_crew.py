"""Work shared out among cores: every row once, even shares, errors as they are, threads of one core each."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech.tts.crew import Crew, share_out


@given(st.lists(st.integers(0, 500), max_size=80), st.integers(1, 9))
def test_every_row_is_in_one_share_and_shares_are_even(sizes, parts):
    shares = share_out(sizes, parts)
    assert sorted(number for share in shares for number in share) == list(range(len(sizes)))
    assert len(shares) == min(parts, len(sizes))
    assert all(shares)
    loads = [sum(max(1, sizes[number]) for number in share) for share in shares]
    assert not loads or max(loads) - min(loads) <= max(1, *sizes)


def test_threads_meet_and_each_computes_on_one_core():
    meeting = threading.Barrier(3, timeout=30)

    def work(item):
        meeting.wait()
        return item, torch.get_num_threads(), torch.is_inference_mode_enabled()

    assert Crew(3).map(work, range(6)) == [(item, 1, True) for item in range(6)]


def test_other_threads_keep_their_number():
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        Crew(2)
        with ThreadPoolExecutor(1) as another:
            assert another.submit(torch.get_num_threads).result() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)


@pytest.mark.parametrize("count", [1, 2])
def test_what_one_raises_is_raised(count):
    with pytest.raises(ZeroDivisionError):
        Crew(count).map(lambda item: 1 // item, [1, 0, 1])
