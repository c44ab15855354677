"""Webhooks against a real HTTP server on this machine."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook

from jobs import urls
from jobs.errors import Conflict, NotFound
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.record import Output, Problem
from jobs.settings import Settings
from jobs.states import Kind
from jobs.webhooks import PAUSES, Webhooks


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses that it is given, in turn, then with 200, once it may `go`; keeps what it got."""

    def __init__(self):
        receiver = self
        self.statuses, self.got = [], []
        self.go, self.asked = threading.Event(), threading.Semaphore(0)
        self.go.set()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers), body))
                receiver.asked.release()
                receiver.go.wait()
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setattr(urls, "POST_SECONDS", 60)  # calls are held up, on a busy machine for long
    server = Receiver()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.go.set()
    server.shutdown()
    server.server_close()


class Office:
    """A ledger, its webhooks, and a job that has ended."""

    def __init__(self, redis, url, allowed="127.0.0.0/8", *, fails=False):
        self.redis = redis
        self.ledger = Ledger(redis)
        self.webhooks = Webhooks(self.ledger, Settings(allowed_networks=allowed))
        self.url = url
        claim = self.claim()
        self.id = claim.id
        assert self.webhooks.due() == []
        if fails:
            self.ledger.fail(claim, Problem("bad", "Bad", "it went wrong"))
        else:
            self.ledger.succeed(claim, Output(text="x"))

    def claim(self):
        new = NewJob(id=new_id(), kind=Kind.TTS, queue="tts", priority=4, owner="o", spec="{}", webhook=self.url)
        delivery = self.ledger.submit(new).delivery
        return self.ledger.claim(delivery.id, delivery.sequence, "w")

    def end_another(self):
        self.ledger.succeed(self.claim(), Output(text="x"))

    def due(self):
        """Return the jobs of what is due."""
        return [call.id for call in self.webhooks.due()]

    def let_it_be_due(self):
        """Let the pause before the next call, or that in which one is put off, be over; return the call."""
        self.redis.zadd("vq:webhooks", {self.id: 1}, xx=True)
        [due] = self.webhooks.due()
        return due

    def make(self, due):
        """Make a call as a worker does that gets its message."""
        return self.webhooks.call(due.id, due.number)

    def call(self):
        return self.make(self.let_it_be_due())

    def next_call(self):
        """When the next call is due, in seconds of Redis' clock; None for never."""
        score = self.redis.zscore("vq:webhooks", self.id)
        return None if score is None else score / 1000

    def now(self):
        seconds, micros = self.redis.time()
        return seconds + micros // 1000 / 1000  # as exact as `next_call`


def test_the_end_of_a_job_is_told_once_and_signed(redis, receiver):
    office = Office(redis, receiver.url)
    [due] = office.webhooks.due()
    assert office.due() == []  # its message has some time
    assert office.make(due).is_delivered
    [(headers, body)] = receiver.got
    message = Webhook(office.webhooks.secret()).verify(body, {k.lower(): v for k, v in headers.items()})
    assert message["type"] == "job.succeeded"
    assert message["data"]["id"] == office.id
    assert office.next_call() is None
    assert [call["status"] for call in office.webhooks.calls(office.id)] == [200]


def test_failures_are_repeated_with_longer_pauses_until_the_receiver_is_back(redis, receiver):
    receiver.statuses = [500, 503]
    office = Office(redis, receiver.url)
    for pause in PAUSES[:2]:
        before = office.now()
        assert not office.call().is_delivered
        assert before + 0.7 * pause < office.next_call() < office.now() + 1.3 * pause
    assert office.call().is_delivered
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_gone_stops_and_a_client_may_ask_again(redis, receiver):
    receiver.statuses = [410]
    office = Office(redis, receiver.url)
    office.call()
    assert office.next_call() is None
    office.webhooks.call_again(office.id)
    assert office.due() == [office.id]


def retried(office):
    """Retry the job of an office; return the new claim."""
    sent = []
    office.ledger.retry(office.id, sent.extend)
    [delivery] = sent
    return office.ledger.claim(delivery.id, delivery.sequence, "w")


@contextmanager
def under_way(office, due, receiver):
    """Hold a call up until the end of the block."""
    receiver.go.clear()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(office.make, due)
        try:
            assert receiver.asked.acquire(timeout=30)
            yield
        finally:
            receiver.go.set()
        assert call.result() is not None


def fail_again(office):
    """Retry the job of an office, and let it fail."""
    office.ledger.fail(retried(office), Problem("bad", "Bad", "it went wrong"))


def test_every_end_has_all_its_tries(redis, receiver):
    receiver.statuses = [500] * (len(PAUSES) + 2)
    office = Office(redis, receiver.url, fails=True)
    for _ in PAUSES:
        office.call()
        assert office.next_call() is not None
    assert office.call().attempt == len(PAUSES) + 1
    assert office.next_call() is None, "given up"
    fail_again(office)
    assert office.due() == [office.id]
    assert office.call().attempt == 1
    assert office.next_call() < office.now() + 1.3 * PAUSES[0]


def test_a_call_that_is_under_way_while_its_job_is_retried_brings_no_other(redis, receiver):
    office = Office(redis, receiver.url, fails=True)
    receiver.statuses = [500]
    due = office.let_it_be_due()
    with under_way(office, due, receiver):
        claim = retried(office)
    assert office.webhooks.due() == []
    assert office.make(due) is None
    assert len(receiver.got) == 1, "nobody hears of a job that runs"
    office.ledger.succeed(claim, Output(text="x"))
    assert office.call().attempt == 1


def test_an_end_is_told_though_a_call_for_the_one_before_came_through_after_it(redis, receiver):
    office = Office(redis, receiver.url, fails=True)
    with under_way(office, office.let_it_be_due(), receiver):
        fail_again(office)
    assert office.due() == [office.id]


def test_a_message_that_waited_for_so_long_that_it_was_sent_again_brings_one_call(redis, receiver):
    office = Office(redis, receiver.url)
    first, second = office.let_it_be_due(), office.let_it_be_due()
    receiver.statuses = [500]
    with under_way(office, first, receiver):
        assert office.make(second) is None, "it is being called"
        third = office.let_it_be_due()
    due = office.next_call()
    assert [office.make(late) for late in (first, second)] == [None, None]
    assert office.next_call() == due
    assert len(receiver.got) == 1
    assert office.make(third) is None
    assert office.call().is_delivered
    assert office.make(third) is None


def test_a_call_whose_caller_dies_is_made_again(redis, receiver):
    office = Office(redis, receiver.url)
    due = office.let_it_be_due()
    assert office.ledger.webhook_begin(due.id, due.number, 60) == (due.number + 1, 1)
    assert office.make(due) is None
    assert office.call().is_delivered


def test_receivers_that_never_answer_hold_half_of_the_threads_and_nothing_is_left_when_they_do(redis, receiver):
    office = Office(redis, receiver.url)
    threads = Settings().cpu_task_threads
    for _ in range(3 * threads):
        office.end_another()
    dues = office.webhooks.due()

    def run(due):
        """Do what a thread of a worker does that gets a call's message."""
        return [office.webhooks.call(*call) for call in office.webhooks.calls_to_make(due.id, due.number)]

    with ThreadPoolExecutor(threads) as pool:
        receiver.go.clear()
        held = [pool.submit(run, due) for due in dues[: threads // 2]]
        try:
            for _ in held:
                assert receiver.asked.acquire(timeout=30)
            for due in 2 * dues[threads // 2 :]:  # while they wait, their messages are sent again
                assert run(due) == []
            assert len(receiver.got) == threads // 2
        finally:
            receiver.go.set()
        made = [call for calls in held for call in calls.result()]
    assert [call.is_delivered for call in made] == [True] * len(dues)
    assert len(receiver.got) == len(dues)
    assert redis.zcard("vq:webhooks") == 0


def test_private_networks_are_not_called(redis, receiver):
    office = Office(redis, receiver.url, allowed="")
    made = office.call()
    assert made.status is None
    assert "private network" in made.error
    assert receiver.got == []


def test_a_job_without_a_webhook_or_none_at_all_is_refused(redis):
    office = Office(redis, "")
    assert office.webhooks.due() == []
    with pytest.raises(Conflict):
        office.webhooks.call_again(office.id)
    with pytest.raises(NotFound):
        office.webhooks.call_again(new_id())


def test_nothing_is_left_of_a_deleted_job(redis, receiver):
    office = Office(redis, receiver.url)
    office.call()
    office.ledger.delete(office.id)
    assert not redis.exists(f"vq:calls:{office.id}")
    assert office.webhooks.due() == []
