"""Who gives his thread back when others wait."""

import time
from types import SimpleNamespace

import pytest

from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.states import Kind
from workers.leases import LeaseKeeper
from workers.session import Session

SLICE = 20
URGENT = 0


class Hand:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def hand(monkeypatch):
    clock = Hand()
    for module in ("workers.session", "workers.leases"):
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(monotonic=clock.monotonic, time=time.time))
    return clock


@pytest.fixture
def session(redis, hand):
    ledger = Ledger(redis)
    delivery = ledger.submit(NewJob(new_id(), Kind.STT, "stt", 7, "o", spec="{}")).delivery
    return Session(ledger.claim(delivery.id, delivery.sequence, "worker"), ledger)


def yields(session, urgent):
    keeper = LeaseKeeper(session.ledger, "stt", threads=1, slice_seconds=SLICE)
    return keeper._who_yields([session], urgent) == [session]


def test_a_session_makes_room_at_once_for_what_is_more_urgent_and_after_its_slice_for_its_like(session, hand):
    hand.now += 5
    assert yields(session, URGENT)
    assert not yields(session, session.job.priority)
    hand.now += SLICE
    assert yields(session, session.job.priority)
    assert not yields(session, None), "nobody waits"


def test_who_had_to_decode_for_long_to_get_back_to_his_place_first_gets_on_with_it(session, hand):
    """Otherwise a long recording is decoded from its beginning in every slice, and never gets any further."""
    with session.preparing():
        hand.now += 80
        assert not yields(session, URGENT), "it has not got to anything new"
    hand.now += 60
    assert not yields(session, session.job.priority)
    hand.now += 60
    assert yields(session, session.job.priority)
