"""A batch: a child for each good line, results in the order of the lines, bad lines told by their number."""

import io
import json
import time
import zipfile

import pytest

from jobs.settings import Settings
from jobs.states import Kind
from tests.workers.household import Household

LINES = [
    {"custom_id": "one", "tts": {"text": "你好。", "format": "mp3", "metadata": {"row": "1"}, "timeout_seconds": 60}},
    {"custom_id": "bad", "tts": {"text": "a", "speed": 9}},
    {"custom_id": "two", "stt": {"url": "https://example.com/a.wav", "formats": ["srt"]}},
    {"custom_id": "flat/three", "text": "平。", "subtitles": ["srt"]},
    {"custom_id": "one", "text": "again"},
]
JSONL = "\n".join(["", *map(json.dumps, LINES), "nonsense"]).encode()
CSV = """custom_id;text;url;format;subtitles;speed;formats
one;你好。;;mp3;;1.5;
"a
b";;https://example.com/a.wav;;;;srt,vtt
wrong;;;;;;
fast;快。;;;srt;9;
three;平。;;;"srt,lrc";;
"""


@pytest.fixture
def house(redis, tmp_path):
    return Household(redis, Settings(data_dir=tmp_path))


def planned(house, data, media_type="application/jsonl", **spec):
    job_id = house.submit(Kind.BATCH, spec, [("b", media_type, data)])
    assert house.run(job_id) is None
    return job_id, house.children(job_id)


def results(house, job_id):
    return [json.loads(line) for line in house.read(job_id, "results.jsonl").decode().splitlines()]


def test_a_good_line_is_a_child_with_its_own_options(house):
    _, [one, two, three] = planned(house, JSONL)
    assert (one.index, one.kind, one.spec["text"], one.spec["format"]) == (2, Kind.TTS, "你好。", "mp3")
    assert (one.metadata, one.timeout_seconds) == ({"custom_id": "one", "row": "1"}, 60)
    assert (two.index, two.kind, two.spec["formats"]) == (4, Kind.STT, ["srt"])
    assert (three.metadata["custom_id"], three.spec["subtitles"]) == ("flat/three", ["srt"])


def test_a_line_has_no_more_time_than_is_left_to_the_batch_by_the_clock_of_redis(house, monkeypatch):
    elsewhere = time.time() + 3600
    monkeypatch.setattr("time.time", lambda: elsewhere)
    _, [one, two, three] = planned(house, JSONL, timeout_seconds=90)
    assert one.timeout_seconds == 60, "its own"
    assert all(80 < line.timeout_seconds <= 90 for line in (two, three))


def test_a_line_may_have_a_priority_of_its_own_and_else_has_the_batchs(house):
    lines = [{"custom_id": "a", "text": "一。"}, {"custom_id": "b", "text": "二。", "priority": "interactive"}]
    data = "\n".join(json.dumps(line) for line in lines).encode()
    _, children = planned(house, data)
    assert [(child.priority, child.spec["priority"]) for child in children] == [(7, "bulk"), (1, "interactive")]
    _, children = planned(house, b"custom_id,text,priority\na,A.,\nb,B.,bulk\n", "text/csv", priority="normal")
    assert [(child.priority, child.spec["priority"]) for child in children] == [(4, "normal"), (7, "bulk")]


def test_results_are_in_the_order_of_the_lines_and_bad_ones_have_their_number(house):
    job_id, [one, two, three] = planned(house, JSONL)
    house.succeed(three.id, ("speech.wav", "audio/wav", b"C"), ("speech.srt", "text/plain", b"S"), duration_seconds=2)
    house.succeed(one.id, ("speech.mp3", "audio/mpeg", b"A"), duration_seconds=1)
    house.fail(two.id)
    house.run(job_id)
    found = results(house, job_id)
    assert [(row["line"], row["custom_id"], row["status"]) for row in found] == [
        (2, "one", "succeeded"),
        (3, "bad", "failed"),
        (4, "two", "failed"),
        (5, "flat/three", "succeeded"),
        (6, "one", "failed"),
        (7, "line-7", "failed"),
    ]
    assert "speed: must be at most 2" in found[1]["error"]["detail"]
    assert "used by an earlier line" in found[4]["error"]["detail"]
    assert "is no JSON" in found[5]["error"]["detail"]
    assert found[0]["output"]["files"][0]["url"] == f"/v1/jobs/{one.id}/files/speech.mp3"
    with zipfile.ZipFile(io.BytesIO(house.read(job_id, "results.zip"))) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "one.mp3": b"A",
            "flat/three.wav": b"C",
            "flat/three.srt": b"S",
        }
    job = house.queries.get(job_id)
    assert job.output["duration_seconds"] == 3
    assert [warning["at"] for warning in job.output["warnings"]] == [3, 4, 6, 7]


def test_retry_runs_only_what_failed(house):
    job_id, [one, two, three] = planned(house, JSONL)
    house.succeed(one.id, duration_seconds=1)
    house.fail(two.id)
    house.succeed(three.id, duration_seconds=1)
    house.run(job_id)
    house.due.clear()
    house.ledger.retry(job_id, house.send)
    assert list(house.due) == [two.id]
    house.succeed(two.id, duration_seconds=1)
    house.run(job_id)
    assert [row["status"] for row in results(house, job_id)].count("succeeded") == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_is_a_batch(house, encoding):
    job_id, [one, two, three] = planned(house, CSV.encode(encoding), "text/csv")
    assert (one.spec["text"], one.spec["speed"], one.spec["format"]) == ("你好。", 1.5, "mp3")
    assert (two.index, two.metadata["custom_id"], two.spec["formats"]) == (3, "a\nb", ["srt", "vtt"])
    assert three.spec["subtitles"] == ["srt", "lrc"]
    for child in (one, two, three):
        house.succeed(child.id)
    house.run(job_id)
    wrong = {row["line"]: row["error"]["detail"] for row in results(house, job_id) if row["error"]}
    assert sorted(wrong) == [5, 6]
    assert "text, url or store" in wrong[5]
    assert "tts.speed: must be at most 2" in wrong[6]


def test_a_batch_without_a_good_line_says_what_is_wrong_with_the_first(house):
    job_id = house.submit(Kind.BATCH, {}, [("b", "application/jsonl", b"nonsense\n")])
    assert "is no JSON" in house.run(job_id).detail
