"""Webhooks against a real HTTP server on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from standardwebhooks import Webhook

from jobs.errors import Conflict, NotFound
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.queries import Queries
from jobs.record import Output, Problem
from jobs.settings import Settings
from jobs.states import Kind
from jobs.webhooks import PAUSES, Webhooks


class Receiver(HTTPServer):
    """Answers with the statuses that it is given, in turn, then with 200; keeps what it got."""

    def __init__(self):
        receiver = self
        self.statuses, self.got = [], []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


@pytest.fixture
def receiver():
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Office:
    """A ledger, its webhooks, and a job that has ended."""

    def __init__(self, redis, url, allowed="127.0.0.0/8", *, fails=False):
        self.redis = redis
        self.ledger = Ledger(redis)
        self.webhooks = Webhooks(self.ledger, Settings(allowed_networks=allowed))
        self.queries = Queries(redis)
        delivery = self.ledger.submit(
            NewJob(id=new_id(), kind=Kind.TTS, queue="tts", priority=4, owner="o", spec="{}", webhook=url)
        ).delivery
        self.id = delivery.id
        claim = self.ledger.claim(delivery.id, delivery.sequence, "w")
        assert self.webhooks.due() == []
        if fails:
            self.ledger.fail(claim, Problem("bad", "Bad", "it went wrong"))
        else:
            self.ledger.succeed(claim, Output(text="x"))

    def call(self):
        return self.webhooks.call(self.queries.get(self.id))

    def seconds_to_next(self):
        score = self.redis.zscore("vq:webhooks", self.id)
        seconds, micros = self.redis.time()
        return None if score is None else score / 1000 - seconds - micros / 1e6


def test_the_end_of_a_job_is_told_once_and_signed(redis, receiver):
    office = Office(redis, receiver.url)
    assert office.webhooks.due() == [office.id]
    assert office.webhooks.due() == []  # the first caller has it for a while
    assert office.call().is_delivered
    [(headers, body)] = receiver.got
    message = Webhook(office.webhooks.secret()).verify(body, {k.lower(): v for k, v in headers.items()})
    assert message["type"] == "job.succeeded"
    assert message["data"]["id"] == office.id
    assert office.seconds_to_next() is None
    assert [call["status"] for call in office.webhooks.calls(office.id)] == [200]


def test_failures_are_repeated_with_longer_pauses_until_the_receiver_is_back(redis, receiver):
    receiver.statuses = [500, 503]
    office = Office(redis, receiver.url)
    for pause in PAUSES[:2]:
        assert not office.call().is_delivered
        assert 0.7 * pause < office.seconds_to_next() <= 1.3 * pause
    assert office.call().is_delivered
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1


def test_gone_stops_and_a_client_may_ask_again(redis, receiver):
    receiver.statuses = [410]
    office = Office(redis, receiver.url)
    office.call()
    assert office.seconds_to_next() is None
    office.webhooks.call_again(office.id)
    assert office.webhooks.due() == [office.id]


def retried(office):
    """Retry the job of an office; return the new claim."""
    sent = []
    office.ledger.retry(office.id, sent.extend)
    [delivery] = sent
    return office.ledger.claim(delivery.id, delivery.sequence, "w")


def fail_again(office):
    """Retry the job of an office, and let it fail."""
    office.ledger.fail(retried(office), Problem("bad", "Bad", "it went wrong"))


def test_every_end_has_all_its_tries(redis, receiver):
    receiver.statuses = [500] * (len(PAUSES) + 2)
    office = Office(redis, receiver.url, fails=True)
    for _ in PAUSES:
        office.call()
        assert office.seconds_to_next() is not None
    assert office.call().attempt == len(PAUSES) + 1
    assert office.seconds_to_next() is None, "given up"
    fail_again(office)
    assert office.webhooks.due() == [office.id]
    assert office.call().attempt == 1
    assert office.seconds_to_next() <= 1.3 * PAUSES[0]


def test_a_call_that_is_under_way_while_its_job_is_retried_brings_no_other(redis, receiver):
    office = Office(redis, receiver.url, fails=True)
    ended = office.queries.get(office.id)
    claim = retried(office)
    receiver.statuses = [500]
    office.webhooks.call(ended)
    assert office.webhooks.due() == []
    assert "retried" in office.call().error
    assert len(receiver.got) == 1, "nobody hears of a job that runs"
    office.ledger.succeed(claim, Output(text="x"))
    assert office.webhooks.due() == [office.id]
    assert office.call().attempt == 1


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
