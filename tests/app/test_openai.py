"""The routes that OpenAI's clients know, with the official client, unchanged."""

import asyncio
import base64
import http.client
import itertools
import json
import socket
import threading
import time

import openai
import pytest

from app.playing import STREAMED
from app.waiting import Caller
from jobs.record import Output
from jobs.remote_files import store_of
from jobs.settings import Settings
from tests.app.conftest import HEARD, Hand
from tests.conftest import PATIENCE
from tests.loops import run

TEXT = "你好。世界。"


@pytest.fixture
def official(server, redis):
    """The official client; it tries once."""
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture
def listen(official, wav):
    def ask(**options):
        return official.audio.transcriptions.create(**{"model": "whisper-1", "file": ("a.wav", wav), **options})

    return ask


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "demo"])
def test_speech_is_the_audio(official, worker, model):
    answer = official.audio.speech.create(model=model, voice="alloy", input="你好。", response_format="wav")
    assert answer.content == b"RIFF" + "你好。".encode()


def test_speech_is_an_interactive_job_with_the_wanted_fields(official, worker, ask_jobs):
    official.audio.speech.create(
        model="tts-1", voice="alloy", input="你好。", response_format="pcm", speed=1.5, instructions="gently"
    )
    asked = ask_jobs()[0]["input"]
    assert (asked["priority"], asked["format"], asked["sample_rate"], asked["speed"]) == (
        "interactive",
        "pcm",
        24000,
        1.5,
    )
    official.audio.speech.create(model="tts-1", voice="alloy", input="你好。")
    assert ask_jobs()[0]["input"]["format"] == "mp3"


@pytest.fixture
def ask_jobs(server):
    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
        connection.request("GET", "/v1/jobs")
        return json.loads(connection.getresponse().read())["data"]

    return ask


def test_speech_can_be_streamed_into_a_file(official, worker, tmp_path):
    with official.audio.speech.with_streaming_response.create(
        model="tts-1", voice={"id": "alloy"}, input="你好。", response_format="wav"
    ) as answer:
        answer.stream_to_file(tmp_path / "a.wav")
    assert (tmp_path / "a.wav").read_bytes() == b"RIFF" + "你好。".encode()


def test_speech_can_come_as_events(server, redis, worker):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    text = "长" * 20_000  # more than one event
    body = {"model": "tts-1", "voice": "alloy", "input": text, "stream_format": "sse"}
    connection.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.read().decode().splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
    assert len(events) > 2
    joined = base64.b64decode("".join(event["audio"] for event in events[:-1]))
    assert joined == b"RIFF" + text.encode()


def test_a_voice_of_ours_is_taken_and_an_unknown_one_refused(official, worker, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "emotions": []}})
    assert official.audio.speech.create(model="tts-1", voice="demo/F7", input="a").content
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        official.audio.speech.create(model="tts-1", voice="nobody", input="a")
    assert caught.value.param == "voice"


def test_a_transcript_is_its_text(listen, worker):
    answer = listen()
    assert answer.text == TEXT
    assert answer.usage.seconds == 2


@pytest.mark.parametrize(("form", "kind"), [("text", "txt"), ("srt", "srt"), ("vtt", "vtt")])
def test_a_transcript_comes_in_other_forms(listen, worker, form, kind):
    assert listen(response_format=form) == HEARD[kind]


def test_a_verbose_transcript_has_segments_and_on_demand_words(listen, worker):
    answer = listen(response_format="verbose_json", language="zh")
    assert (answer.text, answer.language, answer.duration) == (TEXT, "chinese", 2.0)
    assert answer.segments[0].end == 2.0
    assert answer.words is None
    both = listen(response_format="verbose_json", timestamp_granularities=["word", "segment"])
    assert [word.word for word in both.words] == ["你好", "世界"]
    assert both.segments
    words = listen(response_format="verbose_json", timestamp_granularities=["word"])
    assert words.segments is None


def test_the_options_of_a_transcript_reach_the_job(listen, worker, ask_jobs):
    listen(language="zh-CN", prompt="会议", temperature=0.2, keywords=["重庆", "成都"], chunking_strategy="auto")
    asked = ask_jobs()[0]["input"]
    assert (asked["language"], asked["prompt"], asked["temperature"]) == ("zh", "会议", 0.2)
    assert (asked["hotwords"], asked["task"]) == ("重庆, 成都", "transcribe")


def test_a_transcript_can_be_streamed(listen, worker):
    events = list(listen(model="gpt-4o-transcribe", stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == TEXT


def test_a_translation_is_text(official, worker, wav, ask_jobs):
    assert official.audio.translations.create(model="whisper-1", file=("a.wav", wav)).text == TEXT
    assert ask_jobs()[0]["input"]["task"] == "translate"
    verbose = official.audio.translations.create(model="whisper-1", file=("a.wav", wav), response_format="verbose_json")
    assert verbose.language == "english"


def test_models_are_listed_with_their_aliases(official, registry):
    registry.publish("models", {"large-v3-turbo": {"name": "large-v3-turbo"}})
    names = [model.id for model in official.models.list()]
    assert {"tts-1", "whisper-1", "demo"} <= set(names)
    assert official.models.retrieve("whisper-1").owned_by == "voxqueue"
    with pytest.raises(openai.NotFoundError):
        official.models.retrieve("nothing")


def test_errors_have_their_form(official, listen, redis):
    with pytest.raises(openai.NotFoundError) as unknown:
        official.audio.speech.create(model="dall-e", voice="alloy", input="a")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.UnprocessableEntityError) as wrong:
        official.audio.speech.create(model="tts-1", voice="alloy", input="a", speed=4)
    assert (wrong.value.type, wrong.value.param) == ("invalid_request_error", "speed")
    with pytest.raises(openai.UnprocessableEntityError) as empty:
        official.audio.speech.create(model="tts-1", voice="alloy", input=" ")
    assert empty.value.param == "input"
    with pytest.raises(openai.APIStatusError) as text:
        listen(file=("a.wav", b"this is a text"))
    assert (text.value.status_code, text.value.param) == (415, "file")
    with pytest.raises(openai.NotFoundError):
        listen(model="huge")


def test_a_failed_job_is_an_error_of_the_request(official, worker):
    with pytest.raises(openai.BadRequestError, match="the file has no sound") as caught:
        official.audio.speech.create(model="tts-1", voice="alloy", input="fail")
    assert caught.value.code == "no_audio_stream"


def test_a_failed_job_ends_a_stream_with_an_error(server, redis, worker):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    body = {"model": "tts-1", "voice": "alloy", "input": "fail", "stream_format": "sse"}
    connection.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    last = connection.getresponse().read().decode().strip().splitlines()[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "no_audio_stream"


def test_keys_are_wanted_in_their_form(app_of):
    from app.keys import create_key

    secret, key = create_key("anna")
    client = app_of(api_keys=str(key)).test_client()
    answer = client.get("/v1/models")
    assert (answer.status_code, answer.json["error"]["type"]) == (401, "authentication_error")
    assert client.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


@pytest.mark.parametrize("stream", ["audio", "sse"])
def test_a_client_that_hangs_up_cancels_its_job(server, redis, ask_jobs, stream):
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": "wait", "stream_format": stream}).encode()
    with socket.create_connection(("127.0.0.1", server), PATIENCE) as line:
        line.sendall(
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        end = time.monotonic() + PATIENCE
        while not ask_jobs():
            assert time.monotonic() < end
    while ask_jobs()[0]["status"] != "canceled":
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_that_gave_a_key_may_come_back_for_its_job(app, client):
    job = client.post("/v1/tts", json={"text": "你好。"}).json["id"]
    for headers, status in [({"Idempotency-Key": "one"}, "queued"), ({}, "canceled")]:
        with app.test_request_context(headers=headers):
            app.preprocess_request()
            Caller.of_request().cancel(job)
        assert client.get(f"/v1/jobs/{job}").json["status"] == status


class Sentences:
    """A worker that has spoken the first of three sentences and waits for a word to go on."""

    def __init__(self, hand, ask_jobs):
        self.hand = hand
        self.ask_jobs = ask_jobs

    def first(self):
        end = time.monotonic() + PATIENCE
        while not (jobs := self.ask_jobs()):
            assert time.monotonic() < end
        self.job = self.hand.claim(jobs[0]["id"])
        self.hand.ledger.progress(self.job, 0, 3, "sentence")
        self._speak(0)

    def _speak(self, index):
        unit = {"blob": self.hand.store.put(self.job.id, SENTENCE * (index + 1)).to_json(), "pause_ms": 0, "lead_ms": 0}
        following = -1 if index == 2 else index + 1
        self.hand.ledger.register(
            self.job, str(index), {**unit, "first": not index, "next": following}, done=1, total=3
        )

    def rest(self, file=b"is not read: all was heard"):
        self._speak(1)
        self._speak(2)
        end = time.monotonic() + PATIENCE
        sound = self.hand.store.put(self.job.id, file, name="speech.x", media_type="audio/x")
        while time.monotonic() < end and not self.heard.wait(0.01):
            pass
        self.hand.ledger.succeed(self.job, Output(files=(sound,), duration_seconds=1.0))  # its units stay: all are read


SENTENCE = b"\1\0" * 8000
SPOKEN = SENTENCE * 6


@pytest.fixture
def speaking(server, server_data, redis, registry, ask_jobs):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "emotions": [], "sample_rate": 16000, "default": True}})
    sentences = Sentences(Hand(redis, store_of(Settings(data_dir=server_data, redis_url="redis://unused"))), ask_jobs)
    sentences.heard = threading.Event()
    thread = threading.Thread(target=sentences.first)
    thread.start()
    yield sentences
    thread.join(PATIENCE)


def test_speech_is_streamed_from_the_first_sentence_on(official, speaking):
    with official.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="一。二。三。", response_format="wav"
    ) as answer:
        pieces = answer.iter_bytes(1000)
        heard = b"".join(itertools.islice(pieces, 16))
        assert heard[44:] == SPOKEN[: len(heard) - 44], "before the second sentence is spoken"
        rest = threading.Thread(target=speaking.rest)
        rest.start()
        while len(heard) < len(SPOKEN):  # the client keeps less than a piece back until the end
            heard += next(pieces)
        speaking.heard.set()
        rest.join(PATIENCE)
        assert (heard + b"".join(pieces))[44:] == SPOKEN


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac"])
def test_the_async_client_hears_encoded_speech_before_the_job_is_done(server, speaking, form):
    async def hear():
        async with (
            openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{server}/v1", api_key="any", max_retries=0) as client,
            client.audio.speech.with_streaming_response.create(
                model="tts-1", voice="alloy", input="一。二。三。", response_format=form
            ) as answer,
        ):
            assert answer.headers["Content-Type"] == STREAMED[form]
            pieces = answer.iter_bytes()
            return await anext(pieces)

    assert run(hear())


def test_events_of_speech_come_before_the_job_is_done(server, speaking):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    body = {
        "model": "tts-1",
        "voice": "alloy",
        "input": "一。二。三。",
        "response_format": "pcm",
        "stream_format": "sse",
    }
    connection.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    lines = iter(connection.getresponse().readline, b"")
    events = (json.loads(line[6:]) for line in lines if line.startswith(b"data: "))
    first = next(events)
    assert first["type"] == "speech.audio.delta"
    rest = threading.Thread(target=speaking.rest, args=[bytes(len(SPOKEN) * 24 // 16)])
    speaking.heard.set()
    rest.start()
    *deltas, done = first, *events
    assert done == {"type": "speech.audio.done", "usage": {"input_tokens": 6, "output_tokens": 0, "total_tokens": 6}}
    rest.join(PATIENCE)
    sound = base64.b64decode("".join(delta["audio"] for delta in deltas))
    assert len(sound) == pytest.approx(len(SPOKEN) * 24 / 16, abs=4)


def test_hanging_up_in_the_middle_of_the_speech_cancels_the_job(server, speaking, ask_jobs):
    body = {"model": "tts-1", "voice": "alloy", "input": "一。二。三。", "response_format": "mp3"}
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    connection.request("POST", "/v1/audio/speech", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.read(10)
    answer.close()
    connection.close()
    end = time.monotonic() + PATIENCE
    while not speaking.hand.ledger.renew([speaking.job]).signals:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_words_are_told_as_they_are_heard_and_the_end_tells_them_all(server, server_data, redis, wav, ask_jobs):
    hand = Hand(redis, store_of(Settings(data_dir=server_data, redis_url="redis://unused")))

    def work():
        end = time.monotonic() + PATIENCE
        while not (jobs := ask_jobs()):
            assert time.monotonic() < end
        hand.job = hand.claim(jobs[0]["id"])
        said = [{"at": 3, "text": "世界。", "next": 2}, {"at": 0, "text": "你好。", "next": 1}]  # out of order
        for number, part in enumerate(said):
            hand.ledger.register(hand.job, f"00000{number}-zh", {"said": part}, done=1, total=3)

    def finish():
        text = hand.store.put(hand.job.id, b"1", name="a.txt", media_type="text/plain")
        output = Output(files=(text,), text="你好。世界。再见。", language="zh", duration_seconds=3.0)
        hand.ledger.succeed(hand.job, output)

    async def listen():
        async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{server}/v1", api_key="any", max_retries=0) as client:
            events = []
            stream = await client.audio.transcriptions.create(model="whisper-1", file=("a.wav", wav), stream=True)
            async for event in stream:
                events.append(event)
                if len(events) == 2:
                    await asyncio.to_thread(finish)
            return events

    thread = threading.Thread(target=work)
    thread.start()
    *deltas, done = run(listen())
    thread.join(PATIENCE)
    assert [event.delta for event in deltas] == ["你好。", "世界。", "再见。"]
    assert (done.type, done.text) == ("transcript.text.done", "你好。世界。再见。")
