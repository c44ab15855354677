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


def test_of_a_book_made_again_only_the_changed_chapter_is_spoken(client):
    def speak(*chapters, **options):
        body = {"title": "书", "chapters": list(chapters), "subtitles": ["srt"], "reuse": True, **options}
        job = finish(client, client.post("/v1/audiobooks", json=body).json()["id"])
        assert job["status"] == "succeeded", job["error"]
        urls = {file["name"]: file["url"] for file in job["output"]["files"]}
        return client.get("/v1/jobs", params={"parent": job["id"]}).json()["data"], client.get(urls["书.m4b"]).content

    number = uuid.uuid4().int % 1000
    one = {"title": "第一章", "text": f"今天天气很好。我们去公园。第{number}号。"}
    two = {"title": "第二章", "text": f"明天下雨。第{number}号。"}
    first, sound = speak(one, two)
    again, same = speak(one, two)
    assert [chapter["output"].get("reused") for chapter in first] == [None, None]
    assert [chapter["output"]["reused"] for chapter in again] == [chapter["id"] for chapter in first]
    assert same == sound
    changed, other = speak(one, {**two, "text": f"明天天晴。第{number}号。"})
    assert [chapter["output"].get("reused") for chapter in changed] == [first[0]["id"], None]
    assert other != sound
    said, _ = speak(one, dictionary={"今天": "ming2 tian1"})
    assert "reused" not in said[0]["output"]
