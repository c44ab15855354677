"""Sound and words while they are being made, from real workers, with the official client."""

import io

import openai
import pytest

from speech.audio import decode
from tests.e2e.jobs import finish, submit_tts
from tests.loops import run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SENTENCES = (
    "今天天气很好。我们去公园。明天下午三点见面。这本书多少钱。请问火车站怎么走。他昨天买了一件衣服。"
    "我想喝一杯热茶。孩子们在院子里玩。晚上一起吃饭吧。星期六上午有会议。"
)
CODEC_DELAY = 0.2


@pytest.fixture
def official(stack):
    """Make the official client, asynchronous."""
    return lambda: openai.AsyncOpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0, timeout=120)


def seconds_of(sound, folder):
    (folder / "sound").write_bytes(sound)
    with decode(folder / "sound", rate=16000) as blocks:
        return sum(block.size for block in blocks) / 16000


async def speech(official, client, form):
    """Speak through OpenAI's route; gives the sound, and what the job was when the first of it came."""
    heard, status = b"", ""
    async with (
        official() as opened,
        opened.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=SENTENCES, response_format=form
        ) as answer,
    ):
        async for piece in answer.iter_bytes():
            heard += piece
            if not status:
                status = client.get("/v1/jobs", params={"limit": 1}).json()["data"][0]["status"]
    return heard, status


@pytest.mark.parametrize("form", ["mp3", "opus"])
def test_openais_speech_begins_while_the_job_runs_and_is_whole(client, official, tmp_path, form):
    whole = finish(client, submit_tts(client, SENTENCES))["output"]["duration_seconds"]
    heard, status = run(speech(official, client, form))
    assert status == "running"
    assert seconds_of(heard, tmp_path) == pytest.approx(whole, abs=CODEC_DELAY)


def test_openais_transcript_comes_in_parts_that_make_the_whole(client, official):
    job = finish(client, submit_tts(client, SENTENCES * 2))
    sound = client.get(job["output"]["files"][0]["url"]).content

    async def listen():
        async with official() as opened:
            stream = await opened.audio.transcriptions.create(
                model="whisper-1", file=("a.wav", io.BytesIO(sound)), language="zh", stream=True
            )
            return [event async for event in stream]

    *deltas, done = run(listen())
    assert len(deltas) > 1
    assert "".join(event.delta for event in deltas) == done.text
    assert done.usage.seconds == round(job["output"]["duration_seconds"])


def test_a_chapter_of_a_book_is_heard_while_it_is_made(client):
    chapters = [{"title": "第一章", "text": SENTENCES * 2}]
    book = client.post("/v1/audiobooks", json={"chapters": chapters, "format": "mp3"}).json()
    children = []
    while not children:
        children = client.get("/v1/jobs", params={"parent": book["id"]}).json()["data"]
    path = f"/v1/jobs/{children[0]['id']}"
    with client.stream("GET", f"{path}/stream", params={"format": "pcm"}, timeout=120) as answer:
        assert answer.status_code == 200, answer.read()
        pieces = answer.iter_bytes()
        heard = next(pieces)
        assert client.get(path).json()["status"] == "running"
        heard += b"".join(pieces)
    chapter = finish(client, children[0]["id"])
    assert len(heard) / 2 / 16000 == pytest.approx(chapter["output"]["duration_seconds"], abs=CODEC_DELAY)
    assert finish(client, book["id"])["status"] == "succeeded"
