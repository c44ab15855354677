"""Identical work is done once where client and server want it so: real workers, real models."""

import uuid

import pytest

from tests.e2e.jobs import finish, submit_tts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def content(client, file):
    answer = client.get(file["url"])
    assert answer.status_code == 200
    return answer.content


def test_speech_and_its_transcript_are_made_once(client):
    text = f"今天天气很好。第{uuid.uuid4().int % 1000}号。"
    first = finish(client, submit_tts(client, text, reuse=True))
    again = finish(client, submit_tts(client, text, reuse=True, metadata={"second": "yes"}))
    assert again["output"]["reused"] == first["id"]
    sound = content(client, first["output"]["files"][0])
    assert content(client, again["output"]["files"][0]) == sound
    assert again["metrics"]["running_seconds"] < first["metrics"]["running_seconds"]

    def hear(name, **options):
        fields = {"language": "zh", "formats": "txt,srt", "reuse": "true", **options}
        answer = client.post("/v1/stt", files={"file": (name, sound)}, data=fields)
        return finish(client, answer.json()["id"])

    heard = hear("a.wav")
    assert [file["name"] for file in heard["output"]["files"]] == ["a.txt", "a.srt"]
    written = content(client, heard["output"]["files"][0])
    renamed = hear("b.wav")
    assert renamed["output"]["reused"] == heard["id"]
    assert [file["name"] for file in renamed["output"]["files"]] == ["b.txt", "b.srt"]
    assert "reused" not in hear("b.wav", beam_size="2")["output"]

    assert client.delete(f"/v1/jobs/{heard['id']}").status_code == 204
    assert content(client, renamed["output"]["files"][0]) == written
    assert "reused" not in hear("c.wav")["output"], "what was kept went with its origin"


def test_a_batch_may_reuse(client):
    text = f"明天下雨。第{uuid.uuid4().int % 1000}号。"
    first = finish(client, submit_tts(client, text, reuse=True))
    lines = f"custom_id,text\none,{text}\ntwo,今天星期三。{uuid.uuid4().int % 1000}\n".encode()
    answer = client.post("/v1/batches?reuse=true", content=lines, headers={"Content-Type": "text/csv"})
    job = finish(client, answer.json()["id"])
    results = client.get(next(file["url"] for file in job["output"]["files"] if file["name"] == "results.jsonl")).text
    assert results.count(f'"reused": "{first["id"]}"') == 1
