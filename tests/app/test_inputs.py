"""`GET /v1/jobs/ID/inputs/NAME`: the recording beside its transcript."""

import io

import pytest

from tests.app.problems import assert_problem


@pytest.fixture
def job(client, wav):
    answer = client.post("/v1/stt", data={"file": (io.BytesIO(wav), "会议 1.wav")})
    assert answer.status_code == 202, answer.text
    return answer.json


def test_the_recording_comes_back_whole_and_in_ranges(client, job, wav):
    url = f"/v1/jobs/{job['id']}/inputs/{job['input']['files'][0]['name']}"
    answer = client.get(url)
    assert (answer.status_code, answer.data, answer.headers["Content-Type"]) == (200, wav, "audio/wav")
    part = client.get(url, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.data) == (206, wav[4:8])


def test_another_name_is_not_found(client, job):
    assert_problem(client.get(f"/v1/jobs/{job['id']}/inputs/other.wav"), 404)


def test_what_is_no_recording_is_not_given_back(client):
    page = b"<script>alert(1)</script>" * 20
    answer = client.post("/v1/audiobooks", data={"file": (io.BytesIO(page), "book.txt")})
    assert answer.status_code == 202, answer.text
    assert_problem(client.get(f"/v1/jobs/{answer.json['id']}/inputs/book.txt"), 404)
