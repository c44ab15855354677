"""The gate of the submits: so many at once, in the order of their coming."""

import threading

import pytest

from app.turnstile import TooBusy, Turnstile
from tests.conftest import PATIENCE


def in_line(gate, inside, count):
    """Threads that pass the gate, lined up one after another behind whoever is inside."""
    passed, threads = [], []
    for number in range(count):

        def go(number=number):
            with gate:
                passed.append(number)

        threads.append(threading.Thread(target=go))
        threads[-1].start()
        while len(gate._waiting) <= number:
            assert inside
    return passed, threads


def test_those_who_wait_pass_in_their_order():
    gate = Turnstile(1, patience=PATIENCE)
    with gate:
        passed, threads = in_line(gate, True, 20)
        assert passed == []
    for thread in threads:
        thread.join(PATIENCE)
    assert passed == list(range(20))


def test_nobody_overtakes_those_who_wait():
    """A place that is left belongs to who waits, even if somebody comes before the other has woken."""
    gate = Turnstile(1, patience=PATIENCE)
    gate.__enter__()
    passed, threads = in_line(gate, True, 1)
    gate.__exit__(None, None, None)
    with gate:
        assert passed == [0]
    threads[0].join(PATIENCE)


def test_no_more_than_the_places_are_inside():
    gate, inside, most, lock = Turnstile(3, patience=PATIENCE), [0], [0], threading.Lock()

    def go():
        for _ in range(50):
            with gate:
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= 1

    threads = [threading.Thread(target=go) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most[0] <= 3
    assert gate._free == 3


def test_who_waits_too_long_is_told_and_leaves_the_line():
    gate = Turnstile(1, patience=0.01)
    with gate:
        with pytest.raises(TooBusy), gate:
            pass
        assert not gate._waiting
    with gate:
        pass
