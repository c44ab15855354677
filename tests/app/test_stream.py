"""`GET /v1/jobs/ID/stream`: the sound while it is being made."""

import http.client
import io
import json
import threading
import wave

import pytest

from jobs.record import Blob, Output, Problem
from jobs.remote_files import store_of
from jobs.settings import Settings
from speech.audio import decode
from tests.app.conftest import Hand
from tests.app.problems import assert_problem
from tests.conftest import PATIENCE

RATE = 16000
SENTENCES = {0: b"\1\0" * 4000, 2: b"\2\0" * 3000, 3: b"\3\0" * 5000}
"""Index 1 has nothing to speak."""
PAUSES = {0: 0, 2: 250, 3: 0}
SAMPLES = SENTENCES[0] + SENTENCES[2] + bytes(2 * RATE // 4) + SENTENCES[3]


def as_wav(samples):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, RATE, 0, "NONE", ""))
        writer.writeframes(samples)
    return file.getvalue()


class SlowSpeaker(Hand):
    """Enters sentences in the journal when it is told to, as a worker does."""

    def begin(self, job_id):
        self.job = self.claim(job_id)

    def speak(self, index):
        after = {0: 2, 2: 3, 3: -1}
        blob = self.store.put(self.job.id, SENTENCES[index])
        silence = {"pause_ms": PAUSES[index], "lead_ms": 0}
        unit = {"blob": blob.to_json(), **silence, "first": index == 0, "next": after[index]}
        self.ledger.register(self.job, str(index), unit, done=1, total=3)

    def end(self, name="speech.wav", data=None):
        blob = self.store.put(self.job.id, as_wav(SAMPLES) if data is None else data)
        files = (Blob(blob.key, blob.bytes, name, "audio/wav"),)
        self.ledger.succeed(self.job, Output(files=files))
        keys = [self.store.put(self.job.id, pcm).key for pcm in SENTENCES.values()]
        self.store.remove(self.job.id, keys)  # as the worker does after the commit


@pytest.fixture
def speaker(redis, server_data, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "emotions": [], "sample_rate": RATE, "default": True}})
    return SlowSpeaker(redis, store_of(Settings(data_dir=server_data, redis_url="redis://unused")))


@pytest.fixture
def ask(server):
    def send(method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        return connection.getresponse()

    return send


@pytest.fixture
def job(ask, speaker):
    """Submit a text and claim it; gives the path of its stream."""

    def start(**options):
        job_id = json.loads(ask("POST", "/v1/tts", {"text": "一。二。三。", **options}).read())["id"]
        speaker.begin(job_id)
        return f"/v1/jobs/{job_id}/stream"

    return start


def test_sentences_are_heard_as_they_are_finished_and_in_order(ask, job, speaker):
    path = job()
    speaker.speak(2)  # finished first, heard second
    speaker.speak(0)
    answer = ask("GET", path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/wav")
    assert answer.read(44)[:4] == b"RIFF"
    heard = len(SENTENCES[0] + SENTENCES[2]) + 2 * RATE // 4
    assert answer.read(heard) == SAMPLES[:heard]
    speaker.speak(3)
    assert answer.read(len(SENTENCES[3])) == SENTENCES[3]
    speaker.end()
    assert answer.read() == b""


def test_what_was_not_heard_before_the_end_comes_from_the_file(ask, job, speaker):
    path = job()
    speaker.speak(0)
    answer = ask("GET", path)
    assert answer.read(44 + len(SENTENCES[0]))[44:] == SENTENCES[0]
    speaker.end()
    assert answer.read() == SAMPLES[len(SENTENCES[0]) :]


def test_a_listener_who_waits_for_the_first_sentence_hears_all(ask, job, speaker):
    path = job(voice="demo/F7")
    speaker.speak(0)
    speaker.speak(2)
    speaker.speak(3)
    speaker.end()
    assert ask("GET", path).read() == as_wav(SAMPLES)


def test_raw_samples_have_no_header(ask, job, speaker):
    path = job(format="pcm")
    speaker.speak(0)
    answer = ask("GET", path)
    assert answer.headers["Content-Type"] == "audio/L16; rate=16000; channels=1"
    assert answer.read(len(SENTENCES[0])) == SENTENCES[0]
    speaker.end("speech.pcm", SAMPLES)
    assert answer.read() == SAMPLES[len(SENTENCES[0]) :]


def test_an_m4a_cannot_grow_and_is_sent_when_it_is_done(ask, job, speaker):
    path, answers = job(format="m4a"), []
    speaker.speak(0)
    listener = threading.Thread(target=lambda: answers.append(ask("GET", path).read()))
    listener.start()
    speaker.end("speech.m4a", b"whole")
    listener.join(PATIENCE)
    assert answers == [b"whole"]


def seconds_of(sound, folder):
    """Return the length of an encoded sound; whatever its header says."""
    (folder / "sound").write_bytes(sound)
    with decode(folder / "sound", rate=RATE) as blocks:
        return sum(block.size for block in blocks) / RATE


WHOLE = len(SAMPLES) / 2 / RATE
CODEC_DELAY = 0.15
"""Seconds that a codec may add at the ends of a stream."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "media_type", "magic"),
    [
        ("mp3", "audio/mpeg", (b"\xff\xf3", b"\xff\xf2")),
        ("opus", "audio/ogg", (b"Og",)),
        ("aac", "audio/aac", (b"\xff\xf1",)),
        ("flac", "audio/flac", (b"fL",)),
    ],
)
def test_encoded_formats_are_heard_before_the_job_ends_and_hold_all_of_it(
    ask, job, speaker, tmp_path, form, media_type, magic
):
    path = job()  # a WAV, of which this listener wants something smaller
    speaker.speak(0)
    speaker.speak(2)
    answer = ask("GET", f"{path}?format={form}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, media_type)
    opening = answer.read(2)
    assert opening in magic
    speaker.end()
    assert seconds_of(opening + answer.read(), tmp_path) == pytest.approx(WHOLE, abs=CODEC_DELAY)


@pytest.mark.parametrize(("options", "rate"), [({}, RATE), ({"sample_rate": 8000}, 8000)])
def test_another_rate_than_the_voices_grows_too(ask, job, speaker, options, rate):
    path = job(format="pcm", **options)
    speaker.speak(0)
    answer = ask("GET", path)
    assert answer.headers["Content-Type"] == f"audio/L16; rate={rate}; channels=1"
    opening = answer.read(1000)
    speaker.speak(2)
    speaker.speak(3)
    speaker.end("speech.pcm", bytes(len(SAMPLES) * rate // RATE))
    assert len(opening + answer.read()) == pytest.approx(len(SAMPLES) * rate / RATE, abs=4)


def test_a_listener_whose_line_was_cut_goes_on_where_it_was(ask, job, speaker):
    path = job()
    speaker.speak(0)
    answer = ask("GET", f"{path}?start_seconds=0.1")
    heard = 2 * RATE // 10
    assert answer.read(44 + 100)[44:] == SAMPLES[heard : heard + 100]
    speaker.end()
    assert answer.read() == SAMPLES[heard + 100 :]
    assert ask("GET", f"{path}?start_seconds=0.2").read()[44:] == SAMPLES[2 * heard :], "after the end, too"


def test_a_growing_sound_refuses_byte_ranges_and_says_what_to_do(ask, job, speaker, server):
    path = job()
    speaker.speak(0)
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)
    connection.request("GET", path, headers={"Range": "bytes=100-"})
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (416, "range_not_satisfiable")
    answer = ask("GET", f"{path}?format=m4a")
    assert (answer.status, json.loads(answer.read())["code"]) == (422, "invalid_request")
    speaker.end()
    connection.request("GET", path, headers={"Range": "bytes=44-"})
    finished = connection.getresponse()
    assert (finished.status, finished.read()) == (206, SAMPLES)


def test_a_finished_sound_is_sent_in_another_format(ask, job, speaker, tmp_path):
    path = job()
    for index in SENTENCES:
        speaker.speak(index)
    speaker.end()
    assert seconds_of(ask("GET", f"{path}?format=mp3").read(), tmp_path) == pytest.approx(WHOLE, abs=CODEC_DELAY)


def test_a_job_that_fails_in_the_middle_breaks_the_line_off(ask, job, speaker):
    path = job()
    speaker.speak(0)
    answer = ask("GET", f"{path}?format=flac")
    assert answer.read(2) == b"fL"
    speaker.ledger.fail(speaker.job, Problem("broken", "Broken", "broken"))
    with pytest.raises(http.client.IncompleteRead):
        answer.read()


def test_a_job_without_a_sound_is_said_plainly(ask, job, speaker, client, wav):
    path = job()
    assert ask("POST", path.replace("stream", "cancel")).status == 202
    speaker.ledger.give_up(speaker.job)
    answer = ask("GET", path)
    assert (answer.status, json.loads(answer.read())["code"]) == (409, "no_sound")
    recording = client.post("/v1/stt", data={"file": (io.BytesIO(wav), "a.wav")}).json["id"]
    assert_problem(client.get(f"/v1/jobs/{recording}/stream"), 409, "no_sound")


def test_a_job_that_fails_before_its_first_sentence_is_a_problem_and_no_empty_sound(ask, job, speaker):
    path, answers = job(), []
    listener = threading.Thread(target=lambda: answers.append(ask("GET", path).status))
    listener.start()
    speaker.ledger.fail(speaker.job, Problem("nothing_to_speak", "Nothing", "nothing to speak"))
    listener.join(PATIENCE)
    assert answers == [409]
