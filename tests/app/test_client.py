"""The Python client against the real server."""

import asyncio
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources

import httpx
import pytest

from app.calls import form_fields
from app.client import ApiError, AsyncClient, Client, JobFailed, Unreachable
from app.schemas import FileObject
from tests.conftest import PATIENCE, free_port
from tests.loops import run


@pytest.fixture
def client(server, redis):
    with Client(f"http://127.0.0.1:{server}") as found:
        yield found


def test_submit_wait_fetch(client, worker, tmp_path):
    job = client.wait(client.tts("你好。", format="wav", metadata={"row": "1"}).id)
    assert (job.status, job.metadata) == ("succeeded", {"row": "1"})
    paths = client.fetch(job, tmp_path)
    assert [path.name for path in paths] == ["speech.wav", "speech.srt"]
    assert paths[0].read_bytes() == b"RIFF" + "你好。".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speech.srt", "speech.wav"]


def test_a_failed_job_raises_with_its_reason(client, worker):
    with pytest.raises(JobFailed, match="the file has no sound") as caught:
        client.wait(client.tts("fail").id)
    assert caught.value.job.status == "failed"


def test_waiting_has_an_end(client):
    with pytest.raises(TimeoutError):
        client.wait(client.tts("x").id, seconds=0.01)


def test_a_refusal_names_its_field(client):
    with pytest.raises(ApiError) as caught:
        client.tts("a", speed=9)
    assert (caught.value.status, caught.value.code) == (422, "invalid_request")
    assert (caught.value.errors[0].field, caught.value.errors[0].limit) == ("speed", 2.0)


def test_recordings_are_sent_as_files_or_bytes(client, wav, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(wav)
    first = client.stt(path, formats=["txt", "srt"], vad=False)
    assert (first.input["files"][0]["name"], first.input["formats"]) == ("a.wav", ["txt", "srt"])
    assert client.stt(("b.wav", wav)).input["files"][0]["name"] == "b.wav"
    assert client.stt((os.fsdecode(b"\xff.wav"), wav)).input["files"][0]["name"] == "\ufffd.wav"
    assert client.stt(url="https://example.com/a.wav").input["url"] == "https://example.com/a.wav"
    assert client.transcripts([path, ("b.wav", wav)]).kind == "transcripts"


def test_books_and_batches(client, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("话说。")
    assert client.audiobook(path, title="书", dictionary={"话": "hua4"}).input["dictionary"] == {"话": "hua4"}
    assert client.audiobook(chapters=[{"text": "话说。"}]).kind == "audiobook"
    assert client.batch([{"custom_id": "1", "tts": {"text": "a"}}], priority="normal").input["priority"] == "normal"


def test_the_list_goes_over_its_pages(client):
    ids = [client.tts(str(number)).id for number in range(5)]
    assert [job.id for job in client.jobs(limit=2)] == ids[::-1]


def test_watch_tells_each_state_to_the_end(client, worker):
    seen = [job.status for job in client.watch(client.tts("你好。").id)]
    assert seen[-1] == "succeeded"


def test_cancel_retry_delete(client):
    job = client.tts("x")
    assert client.cancel(job.id).status == "canceled"
    assert client.retry(job.id).status == "queued"
    client.delete(job.id)
    with pytest.raises(ApiError) as caught:
        client.job(job.id)
    assert caught.value.status == 404


def test_an_idempotency_key_may_be_given(client):
    assert client.tts("x", idempotency_key="k").id == client.tts("x", idempotency_key="k").id


def test_voices_and_workers(client, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7"]}})
    registry.publish_worker("w", {"name": "w", "kind": "tts"})
    assert [voice.name for voice in client.voices()] == ["demo"]
    assert [worker.name for worker in client.workers()] == ["w"]
    assert client.ready().missing == ["stt", "cpu"]


def test_nobody_there_is_said_plainly(monkeypatch):
    monkeypatch.setattr("app.connection.TRIES", 1)
    port = free_port()
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(Unreachable, match=str(port)):
        client.tts("a")


def test_a_server_that_restarts_is_asked_again_with_the_same_key():
    """What the server took in before it fell is not taken in twice."""
    keys = []

    def answer(request):
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:
            raise httpx.RemoteProtocolError("gone")
        if len(keys) == 2:
            return httpx.Response(503, headers={"Retry-After": "0"})
        return httpx.Response(202, json=JOB)

    with Client("http://x", transport=httpx.MockTransport(answer)) as client:
        assert client.tts("a").id == JOB["id"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.fixture
def pauses(monkeypatch):
    """Collect the seconds that a client would have slept."""
    found = []
    monkeypatch.setattr("app.client.time.sleep", found.append)
    return found


class Restarting:
    """A server that answers, and then refuses `refusals` connections before each answer."""

    def __init__(self, refusals, *answers):
        self.left = 0
        self.refusals = refusals
        self.answers = iter(answers)

    def __call__(self, _):
        if self.left > 0:
            self.left -= 1
            raise httpx.ConnectError("Connection refused")
        self.left = self.refusals
        return next(self.answers)


def test_a_known_server_may_be_away_for_half_a_minute(pauses, tmp_path):
    ended = {**JOB, "status": "succeeded"}
    cut = httpx.Response(200, content=_torn(f"id: 1\ndata: {json.dumps(JOB)}\n\n".encode()))
    event = httpx.Response(200, content=f"id: 2\ndata: {json.dumps(ended)}\n\n".encode())
    answers = httpx.Response(202, json=JOB), cut, event, httpx.Response(200, content=_torn(b"ha"))
    server = Restarting(9, *answers, httpx.Response(200, content=b"half"))
    with Client("http://x", transport=httpx.MockTransport(server)) as client:
        job = client.tts("a")
        assert [one.status for one in client.watch(job.id)] == ["queued", "succeeded"]
        assert (
            client.download(FileObject(name="a", media_type="a/b", bytes=4, url="/f"), tmp_path).read_bytes() == b"half"
        )
    assert 4 * 20 < sum(pauses) < 4 * 40


def fail_with(*failures):
    """Make a transport that answers the first request, and then fails in the ways given, the last one for ever."""
    left = [OK, *failures]

    def answer(_):
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        return now()

    return httpx.MockTransport(answer)


AWAY = partial(httpx.Response, 503, headers={"Retry-After": "5"})
FULL = partial(httpx.Response, 429, headers={"Retry-After": "7"})
REFUSED = httpx.ConnectError("Connection refused")


def test_a_restart_may_fail_in_several_ways_one_after_the_other(pauses):
    """Refused connections first, then a server whose ledger is not back yet, then a full queue."""
    failures = *[REFUSED] * 4, AWAY, AWAY, httpx.ReadError("reset"), partial(httpx.Response, 502), FULL, FULL
    with Client("http://x", transport=fail_with(*failures, OK)) as client:
        client.job("a")
        assert client.tts("a").id == JOB["id"]
    assert pauses[-2:] == [7, 7]


def test_the_async_client_outlasts_a_restart_too(monkeypatch):
    monkeypatch.setattr("app.connection.LONGEST_PAUSE", 0.001)

    async def use():
        transport = fail_with(*[REFUSED] * 4, AWAY, OK)
        async with AsyncClient("http://x", transport=transport) as client:
            await client.job("a")
            assert (await client.tts("a")).id == JOB["id"]

    run(use())


@pytest.mark.parametrize("retry", [{}, {"Retry-After": "0"}, {"Retry-After": "5"}, {"Retry-After": "3600"}])
def test_a_server_that_stays_away_is_given_up_after_half_a_minute(pauses, retry):
    with Client("http://x", transport=fail_with(partial(httpx.Response, 503, headers=retry))) as client:
        client.job("a")
        with pytest.raises(ApiError):
            client.tts("a")
        assert 30 <= sum(pauses) < 36
        pauses.clear()
        with pytest.raises(ApiError):
            client.cancel("a")
        assert pauses == []


def test_what_answers_in_the_place_of_a_server_does_not_make_it_known(pauses):
    transport = httpx.MockTransport(lambda _: httpx.Response(502))
    with Client("http://x", transport=transport) as client, pytest.raises(ApiError):
        client.tts("a")
    assert sum(pauses) < 2


def _torn(begun):
    yield begun
    raise httpx.ReadError("gone")


def test_a_server_that_never_answered_is_not_waited_for(pauses):
    def refuse(_):
        raise httpx.ConnectError("Connection refused")

    with Client("http://x", transport=httpx.MockTransport(refuse)) as client, pytest.raises(Unreachable):
        client.tts("a")
    assert sum(pauses) < 2


def test_the_key_and_the_address_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("VOXQUEUE_URL", "http://somewhere:1234/")
    monkeypatch.setenv("VOXQUEUE_API_KEY", "vq_x")
    seen = []

    def answer(request):
        seen.append((str(request.url), request.headers["Authorization"]))
        return httpx.Response(200, json=JOB)

    with Client(transport=httpx.MockTransport(answer)) as client:
        client.job("a")
    assert seen == [("http://somewhere:1234/v1/jobs/a", "Bearer vq_x")]


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a/../../evil"])
def test_a_file_stays_in_its_folder_whatever_the_server_calls_it(tmp_path, name):
    def answer(_):
        return httpx.Response(200, content=b"x")

    inside = tmp_path / "inside"
    inside.mkdir()
    with Client("http://x", transport=httpx.MockTransport(answer)) as client:
        path = client.download(FileObject(name=name, media_type="a/b", bytes=1, url="/f"), inside)
    assert path.resolve().is_relative_to(inside.resolve())


def test_a_download_that_breaks_leaves_nothing(tmp_path, pauses):
    def answer(_):
        def broken():
            yield b"half"
            raise httpx.ReadError("gone")

        return httpx.Response(200, content=broken())

    with Client("http://x", transport=httpx.MockTransport(answer)) as client, pytest.raises(Unreachable):
        client.download(FileObject(name="a", media_type="a/b", bytes=1, url="/f"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp3", "\N{GRINNING FACE}" * 62 + ".mp3"], ids=["short", "long"])
def test_what_a_killed_download_has_left_goes_a_day_later(tmp_path, monkeypatch, name):
    def save():
        with Client("http://x", transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b"x"))) as client:
            client.download(FileObject(name=name, media_type="a/b", bytes=1, url="/f"), tmp_path)

    others = {".mine.part", "b.part"}
    for other in others:
        (tmp_path / other).touch()
        os.utime(tmp_path / other, (0, 0))
    with monkeypatch.context() as killed:
        killed.setattr("app.client.Path.replace", lambda *_: None)
        killed.setattr("app.client.Path.unlink", lambda *_, **__: None)
        save()
    (left,) = {path.name for path in tmp_path.iterdir()} - others
    save()
    assert {path.name for path in tmp_path.iterdir()} == {*others, left, name}, "another process may be saving it"
    os.utime(tmp_path / left, (0, 0))
    save()
    assert {path.name for path in tmp_path.iterdir()} == {*others, name}


def test_two_downloads_of_one_name_at_once_do_not_mix(tmp_path):
    """A folder may be where several programs save books without a title."""
    began, over = threading.Event(), threading.Event()

    def answer(request):
        def slowly():
            yield b"slow "
            began.set()
            assert over.wait(PATIENCE)
            yield b"book"

        return httpx.Response(200, content=slowly() if request.url.path == "/slow" else b"another, longer book")

    def save(url):
        with Client("http://x", transport=httpx.MockTransport(answer)) as client:
            return client.download(FileObject(name="book.m4b", media_type="a/b", bytes=1, url=url), tmp_path)

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(save, "/slow")
        assert began.wait(PATIENCE)
        assert save("/fast").read_bytes() == b"another, longer book"
        over.set()
        assert slow.result().read_bytes() == b"slow book"
    assert [path.name for path in tmp_path.iterdir()] == ["book.m4b"]


def test_form_fields_are_what_the_server_reads():
    fields = form_fields({"a": True, "b": ["x", "y"], "c": {"k": "v"}, "d": None, "e": 2, "f": [{"text": "t"}]})
    assert fields == {"a": "true", "b": "x,y", "c": '{"k": "v"}', "e": "2", "f": '[{"text": "t"}]'}


def test_its_types_are_told_to_those_who_use_it():
    assert resources.files("app").joinpath("py.typed").is_file()


def test_the_async_client_does_the_same(server, worker, wav):
    async def use():
        async with AsyncClient(f"http://127.0.0.1:{server}") as client:
            submitted = await asyncio.gather(*(client.tts(f"第{n}句。") for n in range(10)))
            jobs = await asyncio.gather(*(client.wait(job.id) for job in submitted))
            sounds = [await client.read(job.output.files[0]) for job in jobs]
            assert sounds == [b"RIFF" + f"第{n}句。".encode() for n in range(10)]
            assert (await client.stt(("a.wav", wav))).kind == "stt"
            assert len([job async for job in client.jobs(limit=4)]) == 11

    run(use())


JOB = {
    "id": "01m7y2t1wgghqtzswdpw5g3spc",
    "kind": "tts",
    "status": "queued",
    "progress": {"done": 0, "total": 0, "unit": "sentences"},
    "created_at": "2026-11-21T03:36:11.922Z",
    "attempt": 0,
    "input": {},
    "metadata": {},
    "metrics": {"queued_seconds": 0, "running_seconds": 0},
    "links": {},
    "added_later": True,
}
OK = partial(httpx.Response, 200, json=JOB)
