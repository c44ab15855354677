"""The gate: together, alone, who goes first, and giving up the wait."""

import queue
import threading

import pytest

from workers.gate import Gate

PATIENCE = 30.0


@pytest.fixture(autouse=True)
def _nobody_looks_up_by_himself(monkeypatch):
    """Whoever is not woken stays asleep, so that a wake-up that is missing is seen."""
    monkeypatch.setattr("workers.gate._LOOK_SECONDS", 10 * PATIENCE)


class ToldToStop(Exception):
    pass


class Waiter:
    """Waits like a session; ``looked`` gets an entry each time it looks whether to go on."""

    def __init__(self):
        self.stop = False
        self.looked = queue.Queue()
        self.on_wish = lambda: None

    def check(self):
        self.looked.put(True)
        if self.stop:
            raise ToldToStop

    def want_stop(self):
        self.stop = True
        self.on_wish()


class Visitor(threading.Thread):
    """Goes through the gate on a thread of its own; ``inside`` and ``outcome`` tell what became of it."""

    def __init__(self, enter):
        super().__init__(daemon=True)
        self.waiter, self.enter = Waiter(), enter
        self.inside, self.may_leave = threading.Event(), threading.Event()
        self.outcome = None
        self.start()
        assert self.waiter.looked.get(timeout=PATIENCE)

    def run(self):
        try:
            with self.enter(self.waiter):
                self.inside.set()
                assert self.may_leave.wait(PATIENCE)
            self.outcome = "left"
        except ToldToStop:
            self.outcome = "stopped"

    def leave(self):
        self.may_leave.set()
        self.join(PATIENCE)
        assert self.outcome == "left"


def test_normal_jobs_are_inside_together():
    gate = Gate()
    visitors = [Visitor(gate.shared) for _ in range(5)]
    assert all(visitor.inside.wait(PATIENCE) for visitor in visitors)
    for visitor in visitors:
        visitor.leave()


def test_alone_waits_for_everybody_and_keeps_newcomers_out():
    gate = Gate()
    first, second = Visitor(gate.shared), Visitor(gate.shared)
    assert first.inside.wait(PATIENCE)
    assert second.inside.wait(PATIENCE)
    alone = Visitor(gate.alone)
    first.leave()
    newcomer = Visitor(gate.shared)
    assert not alone.inside.is_set()
    second.leave()
    assert alone.inside.wait(PATIENCE)
    assert not newcomer.inside.is_set()
    alone.leave()
    assert newcomer.inside.wait(PATIENCE)
    newcomer.leave()


def test_two_that_must_be_alone_go_one_after_the_other():
    gate = Gate()
    first = Visitor(gate.alone)
    assert first.inside.wait(PATIENCE)
    second, third = Visitor(gate.alone), Visitor(gate.shared)
    first.leave()
    assert second.inside.wait(PATIENCE)
    assert not third.inside.is_set()
    second.leave()
    assert third.inside.wait(PATIENCE)
    third.leave()


def test_one_who_gives_up_waiting_to_be_alone_lets_the_others_in():
    gate = Gate()
    inside = Visitor(gate.shared)
    assert inside.inside.wait(PATIENCE)
    alone = Visitor(gate.alone)
    newcomer = Visitor(gate.shared)
    alone.waiter.want_stop()
    alone.join(PATIENCE)
    assert alone.outcome == "stopped"
    assert newcomer.inside.wait(PATIENCE)
    inside.leave()
    newcomer.leave()


def test_one_who_is_told_to_stop_does_not_go_in_even_if_the_way_is_free():
    waiter = Waiter()
    waiter.stop = True
    gate = Gate()
    with pytest.raises(ToldToStop):
        gate.shared(waiter)
    with pytest.raises(ToldToStop):
        gate.alone(waiter)
    waiter.stop = False
    with gate.alone(waiter):
        pass


def test_an_error_inside_opens_the_gate_again_and_leaving_twice_is_harmless():
    gate = Gate()
    with pytest.raises(ZeroDivisionError), gate.alone(Waiter()):
        raise ZeroDivisionError
    entered = gate.shared(Waiter())
    entered.leave()
    entered.leave()
    with gate.alone(Waiter()):
        pass


def test_never_anybody_beside_one_who_is_alone():
    gate, lock = Gate(), threading.Lock()
    together, alone, errors = [0], [0], []

    def visit(number):
        for n in range(60):
            by_itself = (number + n) % 5 == 0
            with gate.alone(Waiter()) if by_itself else gate.shared(Waiter()):
                counter = alone if by_itself else together
                with lock:
                    counter[0] += 1
                    if alone[0] > 1 or (alone[0] and together[0]):
                        errors.append((alone[0], together[0]))
                with lock:
                    counter[0] -= 1

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not errors
