"""A worker is killed in the middle of a book: what comes out is what would have come out, and little is done twice."""

import io
import os
import signal
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from app.stack import Stack
from app.stack.environment import without_settings
from jobs.connect import connect
from jobs.ids import child_id
from tests.e2e.jobs import finish

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
STORY = (ROOT / "models" / "demo" / "domain-story.txt").read_text("utf-8")
HOP = 200
ROWS = 4
WINDOW = 2 * ROWS
"""Sentences of one chapter in the scheduler at once."""


@pytest.fixture
def spoken(tmp_path):
    """Where the worker writes down what it speaks."""
    return tmp_path / "spoken"


@pytest.fixture
def stack(tmp_path, spoken):
    """A stack of its own whose TTS worker keeps a record."""
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    counting = [line.replace("-A workers.app", "-A tests.e2e.counting_app") for line in lines if "flower" not in line]
    (tmp_path / "Procfile").write_text("\n".join(counting), "utf-8")
    env = {
        "VOXQUEUE_DEVICE": "cpu",
        "VOXQUEUE_TTS_BATCH_ROWS": str(ROWS),
        "VOXQUEUE_LEASE_SECONDS": "5",
        "VOXQUEUE_SWEEP_SECONDS": "1",
        "VOXQUEUE_TEST_SPOKEN": str(spoken),
    }
    with Stack(
        tmp_path / "data", env=env, outer=without_settings(os.environ), procfile_path=tmp_path / "Procfile"
    ) as running:
        running.wait_ready(180)
        yield running


@pytest.fixture
def client(stack):
    with httpx.Client(base_url=stack.url, timeout=90) as opened:
        yield opened


def submit(client):
    options = {"title": "书", "format": "wav", "loudness": "none", "subtitles": "json"}
    answer = client.post("/v1/audiobooks", files={"file": ("story.txt", STORY.encode())}, data=options)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def chapters_of(client, book):
    """Return (samples, cues) of each chapter; the book must be whole."""
    assert book["status"] == "succeeded", book["error"]
    assert book["output"]["warnings"] == []
    children = client.get("/v1/jobs", params={"parent": book["id"]}).json()["data"]
    found = []
    for child in children:
        urls = {Path(file["name"]).suffix: file["url"] for file in child["output"]["files"]}
        samples, rate = soundfile.read(io.BytesIO(client.get(urls[".wav"]).content), dtype="int16")
        assert rate == 16000
        found.append((samples, client.get(urls[".json"]).json()["cues"]))
    return found


def wait_for(what):
    end = time.monotonic() + 120
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def registered(redis, book_id):
    """Count the sentences that the ledger has: in journals, or in chapters that have ended."""
    count = 0
    for child in (child_id(book_id, index) for index in (1, 2, 3)):
        status, done = redis.hmget(f"vq:job:{child}", "status", "done")
        count += int(done) if status == "succeeded" else redis.hlen(f"vq:units:{child}")
    return count


def test_a_killed_book_goes_on_after_its_last_sentence_and_sounds_as_if_nothing_had_been(stack, client, spoken):
    """A complaint about rivals: they begin a book again from zero."""
    undisturbed = chapters_of(client, finish(client, submit(client)))
    sentences = sum(len(cues) for _, cues in undisturbed)
    spoken.write_text("")

    book_id = submit(client)
    wait_for(lambda: spoken.read_text().count("\n") >= sentences // 2)
    before = stack.kill("worker_tts", signal.SIGKILL)
    redis = connect(stack.redis_url)
    begun, kept = Counter(spoken.read_text().split()), registered(redis, book_id)
    in_flight = begun.total() - kept
    assert 0 < kept < sentences, "the kill must come in the middle of the book"
    stack.wait_replaced("worker_tts", before)
    resumed = chapters_of(client, finish(client, book_id))

    in_all = Counter(spoken.read_text().split())
    assert set(in_all) >= set(begun)
    assert len(in_all) == sentences
    twice = in_all.total() - len(in_all)
    assert twice <= in_flight, f"{twice} sentences were done twice, {in_flight} were in flight"
    assert in_flight <= 3 * WINDOW
    assert_alike(undisturbed, resumed)


def assert_alike(undisturbed, resumed):
    """Compare the samples of every sentence that has the same duration, and the text and number of all."""
    same = count = 0
    differences = []
    for (samples, cues), (others, other_cues) in zip(undisturbed, resumed, strict=True):
        assert [cue["text"] for cue in cues] == [cue["text"] for cue in other_cues]
        for cue, other in zip(cues, other_cues, strict=True):
            count += 1
            begin, end = round(cue["start"] * 16000), round(cue["end"] * 16000)
            shift = round((other["start"] - cue["start"]) * 16000 / HOP) * HOP
            if round((other["end"] - other["start"]) * 16000 / HOP) != round((end - begin) / HOP):
                continue
            same += 1
            differences.append(np.abs(samples[begin:end].astype(int) - others[begin + shift : end + shift]))
    assert same > 0.9 * count, "durations differ only where a sum of floats lies on the edge of rounding"
    assert np.concatenate(differences).max() <= 1, "in steps of 16 bits"
