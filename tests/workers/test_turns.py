"""The chapters of a book speak in their order, a few at a time, and are written a few at a time."""

import contextlib
import json
import threading
import time
from types import SimpleNamespace

import pytest

from jobs.ledger import Renewal
from jobs.settings import Settings
from jobs.states import Kind
from tests.workers.household import Household
from workers.leases import LeaseKeeper
from workers.session import Session, Stop, Wish
from workers.turns import Turns

PATIENCE = 30


class Chapter:
    """What turns need of a session, and a thread that asks for one."""

    def __init__(self, index, parent="book", order=None, sentences=None):
        self.job = SimpleNamespace(id=f"{parent}.{index}", parent=parent, index=index, priority=7)
        self.idle, self.wish, self.stopped, self.started = False, Wish.GO, None, time.monotonic()
        self.rests = 0
        self.on_wish = lambda: None
        self.entered, self.leave = threading.Event(), threading.Event()
        self.order, self.sentences = order, sentences

    def want(self, wish):
        self.wish = wish
        self.on_wish()

    def check(self):
        if self.wish is not Wish.GO:
            raise Stop(self.wish)

    @contextlib.contextmanager
    def awaiting_turn(self):
        self.rests += 1
        yield

    def insist(self):
        if self.wish is not Wish.YIELD:
            self.check()

    def seconds_of_work(self, now):
        return now - self.started

    def ask(self, turn):
        """Ask for a turn on a thread, and return once the chapter waits for it or has it."""

        def hold():
            try:
                with turn(self) as tell:
                    if self.sentences is not None:
                        tell(self.sentences)
                    if self.order is not None:
                        self.order.append(self.job.index)
                    self.entered.set()
                    assert self.leave.wait(PATIENCE)
            except Stop as stop:
                self.stopped = stop.wish

        self.thread = threading.Thread(target=hold)
        self.thread.start()
        end = time.monotonic() + PATIENCE
        while not (self.rests or self.entered.is_set()):
            assert time.monotonic() < end
            time.sleep(0.001)
        return self

    def go(self):
        self.leave.set()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def test_the_earlier_chapter_speaks_first_whenever_it_came():
    turns, order = Turns(enough=10, writers=1), []
    chapters = [Chapter(index, order=order).ask(turns.to_speak) for index in (5, 9, 7, 8)]
    assert order == [5]
    assert [one.idle for one in chapters] == [False, True, True, True]
    for chapter in sorted(chapters, key=lambda one: one.job.index):
        assert chapter.entered.wait(PATIENCE)
        chapter.go()
    assert order == [5, 7, 8, 9]


def test_small_chapters_speak_together_until_there_is_enough():
    turns = Turns(enough=12, writers=1)
    chapters = [Chapter(index, sentences=5).ask(turns.to_speak) for index in range(4)]
    assert [one.entered.is_set() for one in chapters] == [True, True, True, False]
    assert [one.rests for one in chapters] == [0, 0, 0, 1]
    chapters[1].go()
    assert chapters[3].entered.wait(PATIENCE)
    for chapter in chapters:
        chapter.go()


def test_books_do_not_wait_for_one_another():
    turns = Turns(enough=1, writers=1)
    chapters = [Chapter(4, parent=book).ask(turns.to_speak) for book in ("a", "b")]
    assert all(one.entered.is_set() for one in chapters)
    for chapter in chapters:
        chapter.go()


@pytest.mark.parametrize("wish", [Wish.YIELD, Wish.CANCEL, Wish.DRAIN, Wish.LOST])
def test_who_waits_is_stopped_at_once_and_holds_nobody_up(wish):
    turns = Turns(enough=1, writers=1)
    first, second, third = (Chapter(index).ask(turns.to_speak) for index in range(3))
    second.want(wish)
    second.thread.join(PATIENCE)
    assert (second.stopped, second.idle) == (wish, False)
    first.go()
    assert third.entered.wait(PATIENCE)
    third.go()


def test_only_so_many_are_written_at_once():
    turns = Turns(enough=1, writers=2)
    chapters = [Chapter(index, parent=str(index)).ask(turns.to_write) for index in range(3)]
    assert [one.entered.is_set() for one in chapters] == [True, True, False]
    assert not chapters[2].idle, "it has spoken: who claims it next would read its text again"
    chapters[2].want(Wish.YIELD)
    chapters[0].go()
    assert chapters[2].entered.wait(PATIENCE)
    for chapter in chapters:
        chapter.go()


class FullHouse:
    """A ledger in which another job of the same priority always waits."""

    def renew(self, claims, queues):
        return Renewal(signals={}, urgent={queues[0]: 7})


@pytest.mark.slow
def test_who_only_waits_gives_its_thread_back_and_who_works_keeps_it():
    keeper = LeaseKeeper(FullHouse(), "tts", threads=2, slice_seconds=0)
    working, waiting = Chapter(1), Chapter(2)
    for session in (working, waiting):
        session.claim = None
        keeper.add(session)
    waiting.idle = True
    told = threading.Event()
    waiting.on_wish = told.set
    keeper.start()
    assert told.wait(PATIENCE)
    assert (waiting.wish, working.wish) == (Wish.YIELD, Wish.GO)
    waiting.idle = False  # once nobody only waits, the one who works longest makes room
    waiting.wish = Wish.GO
    keeper.remove(waiting)
    told.clear()
    working.on_wish = told.set
    keeper.add(waiting)
    assert told.wait(PATIENCE)
    assert working.wish is Wish.YIELD
    keeper.stop()


def test_the_ledger_knows_who_only_waits_and_who_speaks(redis, tmp_path):
    """Whoever waits is not suspected when the process dies; from its turn on it is."""
    house = Household(redis, Settings(data_dir=tmp_path))
    text = json.dumps([{"title": str(number), "text": "今天下雨。"} for number in range(2)]).encode()
    book = house.submit(Kind.AUDIOBOOK, {}, [("chapters.json", "application/json", text)])
    assert house.run(book) is None
    first, second = (Session(house.claim(child.id), house.ledger) for child in house.children(book))
    turns, spoken = Turns(enough=1, writers=1), threading.Event()

    def speak():
        with turns.to_speak(second):
            spoken.set()

    with turns.to_speak(first):
        waiting = threading.Thread(target=speak)
        waiting.start()
        until(lambda: redis.hget(f"vq:job:{second.job.id}", "awaiting") == "1")
        assert redis.hget(f"vq:job:{first.job.id}", "awaiting") != "1"
        assert second.idle
        assert not spoken.is_set()
    waiting.join(PATIENCE)
    assert spoken.is_set()
    assert redis.hget(f"vq:job:{second.job.id}", "awaiting") == "0"
    assert not second.idle


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
