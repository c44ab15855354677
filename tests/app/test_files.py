"""`GET /v1/jobs/ID/files/NAME`: ranges, ETags, names."""

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.problems import assert_problem

DATA = bytes(range(256)) * 4


@pytest.fixture
def url(submit, hand):
    """The address of a finished job's file."""
    job_id = submit()
    hand.succeed(job_id, [("speech.wav", "audio/wav", DATA), ('a"; x=y %41 你好?#.srt', "text/plain", b"1")])
    return f"/v1/jobs/{job_id}/files/speech.wav"


def test_the_whole_file(client, url):
    answer = client.get(url)
    assert (answer.status_code, answer.data) == (200, DATA)
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="speech.wav"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_head_has_the_length_and_no_body(client, url):
    answer = client.head(url)
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", str(len(DATA)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=st.integers(0, 1100), last=st.one_of(st.none(), st.integers(0, 1100)))
def test_a_range_is_that_part_of_the_file(client, url, first, last):
    header = f"bytes={first}-{'' if last is None else last}"
    answer = client.get(url, headers={"Range": header})
    end = len(DATA) - 1 if last is None else min(last, len(DATA) - 1)
    if last is not None and last < first:
        assert answer.status_code in {200, 416}  # not a valid range: both are right
    elif first >= len(DATA):
        assert_problem(answer, 416)
    else:
        assert (answer.status_code, answer.data) == (206, DATA[first : end + 1])
        assert answer.headers["Content-Range"] == f"bytes {first}-{end}/{len(DATA)}"
        assert answer.headers["Content-Length"] == str(end + 1 - first)


def test_the_last_bytes(client, url):
    answer = client.get(url, headers={"Range": "bytes=-10"})
    assert (answer.status_code, answer.data) == (206, DATA[-10:])


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes", "seconds=1-2", "bytes=a-b", "bytes=--1"])
def test_a_range_of_another_form_gives_the_whole_file(client, url, header):
    answer = client.get(url, headers={"Range": header})
    assert (answer.status_code, answer.data) == (200, DATA)


def test_a_client_that_has_the_file_gets_304(client, url):
    etag = client.get(url).headers["ETag"]
    answer = client.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.data) == (304, b"")
    assert client.get(url, headers={"If-None-Match": '"other"'}).status_code == 200


def test_if_range_of_another_version_gives_the_whole_file(client, url):
    etag = client.get(url).headers["ETag"]
    assert client.get(url, headers={"Range": "bytes=0-0", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-0", "If-Range": '"other"'}).data == DATA


def test_the_urls_of_the_job_lead_to_its_files_whatever_their_names(client, url):
    job = client.get(url.rsplit("/files", 1)[0]).json
    for file in job["output"]["files"]:
        answer = client.get(file["url"])
        assert (answer.status_code, len(answer.data)) == (200, file["bytes"])
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["other.wav", "../speech.wav", "speech.wav/", "", "SPEECH.WAV"])
def test_an_unknown_name_is_404(client, url, name):
    assert_problem(client.get(url.replace("speech.wav", quote(name))), 404)


def test_a_file_that_the_store_lost_is_404(client, url, services):
    services.store.remove_job(url.split("/")[3])
    assert_problem(client.get(url), 404, "file_gone")


def test_before_its_end_a_job_has_no_files(client, submit):
    assert_problem(client.get(f"/v1/jobs/{submit()}/files/speech.wav"), 404, "file_not_found")
