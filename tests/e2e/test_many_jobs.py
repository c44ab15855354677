"""Forty sentences at once as forty TTS jobs, their audio as forty STT jobs, over real processes."""

import signal
from pathlib import Path

import pytest

from bench.hearing import character_error_rate, distance, letters
from tests.e2e.jobs import finish_all, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SENTENCES = [
    line
    for line in (Path(__file__).parents[2] / "models/demo/domain-sentences.txt").read_text("utf-8").splitlines()
    if line.strip()
]


def submit_all(client, sentences):
    return [submit_tts(client, text) for text in sentences]


def hear_all(client, spoken_jobs):
    ids = []
    for job in spoken_jobs:
        audio = client.get(job["output"]["files"][0]["url"])
        assert audio.headers["content-type"] == "audio/wav"
        answer = client.post("/v1/stt", files={"file": ("speech.wav", audio.content)}, data={"language": "zh"})
        assert answer.status_code == 202, answer.text
        ids.append(answer.json()["id"])
    return finish_all(client, ids)


def assert_each_heard_as_its_own(sentences, heard_jobs):
    heard = [job["output"]["text"] for job in heard_jobs]
    pairs = list(zip(sentences, heard, strict=True))
    assert character_error_rate(pairs) <= 0.02, [pair for pair in pairs if letters(pair[0]) != letters(pair[1])]
    for spoken, text in pairs:  # nobody has another's words
        closest = min(sentences, key=lambda other: distance(letters(other), letters(text)))
        assert closest == spoken, f"{spoken} was heard as {text}"


@pytest.mark.timeout(600)
def test_forty_sentences_at_once_come_back_as_their_own_words(client):
    sentences = SENTENCES[:40]
    spoken = finish_all(client, submit_all(client, sentences))
    assert {job["status"] for job in spoken} == {"succeeded"}
    heard = hear_all(client, spoken)
    assert {job["status"] for job in heard} == {"succeeded"}
    assert_each_heard_as_its_own(sentences, heard)
    [tts] = [worker for worker in client.get("/v1/workers").json()["data"] if worker["kind"] == "tts"]
    assert tts["mean_batch_rows"] > 4, tts


@pytest.mark.timeout(600)
def test_killing_the_tts_worker_in_the_middle_loses_and_doubles_nothing(stack, client):
    sentences = SENTENCES[40:80]
    before = stack.processes()["worker_tts"]
    ids = submit_all(client, sentences)
    for _ in client_events(client, ids[0]):  # the first sign of work
        break
    stack.kill("worker_tts", signal.SIGKILL)
    spoken = finish_all(client, ids)
    assert {job["status"] for job in spoken} == {"succeeded"}
    assert stack.processes()["worker_tts"] != before
    for job in spoken:
        assert [file["name"] for file in job["output"]["files"]] == ["speech.wav"]
    assert max(job["attempt"] for job in spoken) >= 2, "the kill came too late to hit anything"
    assert_each_heard_as_its_own(sentences, hear_all(client, spoken))


def client_events(client, job_id):
    """Yield the states of a job until it runs."""
    with client.stream("GET", f"/v1/jobs/{job_id}/events", timeout=60) as events:
        for line in events.iter_lines():
            if line.startswith("data:") and '"queued"' not in line:
                yield line
