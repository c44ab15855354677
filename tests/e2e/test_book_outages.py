"""A book in whose midst the web process and Valkey are killed, and a one-liner comes, is whole all the same."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from app.stack import Stack
from app.stack.environment import without_settings
from bench.book_checks import children_of, faults_of
from jobs.connect import connect
from jobs.ids import child_id
from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
SENTENCES = [
    line
    for line in (Path(__file__).parents[2] / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines()
    if line.strip()
]
CHAPTERS = [SENTENCES[20 * number : 20 * number + 20] for number in range(6)]
TEXT = "\n\n".join(f"第{number}章\n\n{''.join(lines)}" for number, lines in enumerate(CHAPTERS, 1))
ENOUGH_SECONDS = 120


@pytest.fixture
def stack(tmp_path):
    """A stack of its own; its Valkey has an append-only file that is written at every submit."""
    env = {
        "VOXQUEUE_DEVICE": "cpu",
        "VOXQUEUE_TTS_BATCH_ROWS": "4",
        "VOXQUEUE_APPENDFSYNC": "always",
        "VOXQUEUE_LEASE_SECONDS": "5",
        "VOXQUEUE_SWEEP_SECONDS": "1",
        "VOXQUEUE_LOST_SECONDS": "5",
    }
    with Stack(tmp_path / "data", env=env, outer=without_settings(os.environ)) as running:
        running.wait_ready(180)
        yield running


class Patient:
    """An HTTP client that asks again while the server is being started again."""

    def __init__(self, url):
        self._http = httpx.Client(base_url=url, timeout=90)

    def _insist(self, call):
        end = time.monotonic() + ENOUGH_SECONDS
        while True:
            try:
                answer = call()
                if answer.status_code < 500 or time.monotonic() > end:
                    return answer
            except httpx.TransportError:
                assert time.monotonic() < end
            time.sleep(0.2)

    def get(self, path, **options):
        return self._insist(lambda: self._http.get(path, **options))

    def post(self, path, **options):
        return self._insist(lambda: self._http.post(path, **options))


def wait_for_sentences(redis, book_id, count):
    """Wait until so many sentences of a book are in the ledger; returns how many there are."""
    chapters = [child_id(book_id, number) for number in range(1, len(CHAPTERS) + 1)]
    end = time.monotonic() + ENOUGH_SECONDS
    while (found := sum(int(redis.hget(f"vq:job:{chapter}", "done") or 0) for chapter in chapters)) < count:
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_book_outlives_the_web_process_and_valkey_and_lets_a_one_liner_by(stack):
    client, redis = Patient(stack.url), connect(stack.redis_url)
    options = {"title": "书", "format": "m4a", "subtitles": "json"}
    book = client.post("/v1/audiobooks", files={"file": ("book.txt", TEXT.encode())}, data=options).json()

    sentences = sum(map(len, CHAPTERS)) + len(CHAPTERS)
    wait_for_sentences(redis, book["id"], 5)
    line = finish(client, submit_tts(client, SENTENCES[150], priority="interactive"))
    assert line["status"] == "succeeded"
    before = stack.kill("web", signal.SIGKILL)
    assert wait_for_sentences(redis, book["id"], 10) < sentences, "the kill must come in the middle of the book"
    stack.wait_replaced("web", before)
    assert client.get(f"/v1/jobs/{book['id']}").json()["status"] == "running", "the one-liner waited for no book"
    before = stack.kill("valkey", signal.SIGKILL)
    stack.wait_replaced("valkey", before)

    ended = finish(client, book["id"])
    assert faults_of(client, ended, CHAPTERS) == []
    chapters = children_of(client, book["id"])
    assert [chapter["status"] for chapter in chapters] == ["succeeded"] * len(CHAPTERS)
    assert max(chapter["attempt"] for chapter in chapters) <= 3, "an outage begins nothing again from zero"
