"""`POST /v1/stt`: uploads and addresses."""

import io

import pytest

from tests.app.problems import assert_problem


@pytest.fixture
def upload(client):
    def send(data, name="a.wav", **fields):
        return client.post("/v1/stt", data={"file": (io.BytesIO(data), name), **fields})

    return send


def stored(services):
    return list(services.store.job_ids())


def test_an_upload_becomes_a_job_with_its_bytes_in_the_store(upload, wav, services):
    answer = upload(wav, "会议 1.wav", language="zh", formats="json, srt", word_timestamps="true")
    assert answer.status_code == 202, answer.text
    shown = answer.json["input"]
    assert shown["files"] == [{"name": "会议 1.wav", "bytes": len(wav)}]
    assert (shown["language"], shown["formats"], shown["word_timestamps"]) == ("zh", ["json", "srt"], True)
    job = services.queries.get(answer.json["id"])
    assert job.queue == "stt"
    with services.store.open(job.id, job.inputs[0]) as file:
        assert file.read() == wav


def test_form_fields_say_lists_booleans_and_objects(upload, wav):
    answer = upload(
        wav,
        formats=["json", "txt,vtt"],
        vad="false",
        beam_size="3",
        temperature="",
        metadata='{"row": "7"}',
        webhook='{"url": "https://example.com/hook"}',
    )
    assert answer.status_code == 202, answer.text
    shown = answer.json["input"]
    assert shown["formats"] == ["json", "txt", "vtt"]
    assert (shown["vad"], shown["beam_size"]) == (False, 3)
    assert answer.json["metadata"] == {"row": "7"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"beam_size": "11"}, "beam_size"),
        ({"beam_size": ["1", "2"]}, "beam_size"),
        ({"task": "summarise"}, "task"),
        ({"formats": "json,docx"}, "formats[1]"),
        ({"metadata": "{"}, "metadata"),
        ({"colour": "blue"}, "colour"),
        ({"max_line_width": "7"}, "max_line_width"),
        ({"max_line_count": "11"}, "max_line_count"),
        ({"language": "chinese!"}, "language"),
        ({"url": "https://example.com/a.wav"}, "url"),
    ],
)
def test_a_wrong_form_field_is_named_and_leaves_no_file(upload, wav, services, fields, field):
    assert_problem(upload(wav, **fields), 422, "invalid_request", field)
    assert stored(services) == []


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is a text",
        "你好，这是文本。".encode() * 500,
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"%PDF-1.7\n\0",
        b"PK\3\4\0\0",
    ],
)
def test_what_is_no_recording_is_refused_by_name(upload, services, data):
    assert_problem(upload(data, "speech.wav"), 415, "not_media", "file")
    assert stored(services) == []


def test_an_empty_file_is_refused(upload, services):
    assert_problem(upload(b""), 422, field="file")
    assert stored(services) == []


def test_without_file_and_url_the_field_is_named(client):
    body = b'--x\r\nContent-Disposition: form-data; name="language"\r\n\r\nzh\r\n--x--\r\n'
    answer = client.post("/v1/stt", data=body, content_type="multipart/form-data; boundary=x")
    assert_problem(answer, 422, field="file")
    assert_problem(client.post("/v1/stt", json={}), 422, field="url")


def test_a_field_in_the_place_of_a_file_is_refused(client):
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nRIFF\r\n--x--\r\n'
    answer = client.post("/v1/stt", data=body, content_type="multipart/form-data; boundary=x")
    assert_problem(answer, 422, field="file")


def test_two_files_or_a_file_of_another_name_are_refused(client, wav, services):
    two = {"file": [(io.BytesIO(wav), "a.wav"), (io.BytesIO(wav), "b.wav")]}
    assert_problem(client.post("/v1/stt", data=two), 422, field="file", limit=1)
    other = {"audio": (io.BytesIO(wav), "a.wav")}
    assert_problem(client.post("/v1/stt", data=other), 422, field="audio")
    assert stored(services) == []


@pytest.mark.parametrize(
    "body",
    [b"nonsense", b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'],
)
def test_a_malformed_form_is_400(client, services, body):
    answer = client.post("/v1/stt", data=body, content_type="multipart/form-data; boundary=x")
    assert_problem(answer, 400, "invalid_multipart")
    assert stored(services) == []


def test_a_form_without_boundary_is_400(client):
    answer = client.post("/v1/stt", data=b"x", content_type="multipart/form-data")
    assert_problem(answer, 400, "invalid_multipart")


def test_an_upload_over_the_limit_is_413_and_leaves_nothing(app_of, wav):
    app = app_of(max_upload_bytes=10_000)
    answer = app.test_client().post("/v1/stt", data={"file": (io.BytesIO(wav), "a.wav")})
    assert_problem(answer, 413, "too_large", "file", 10_000)
    assert stored(app.extensions["voxqueue"]) == []


def test_a_public_address_is_taken_and_a_private_one_refused(client):
    assert client.post("/v1/stt", json={"url": "https://example.com/a.wav"}).status_code == 202
    for url in ("http://127.0.0.1/a", "http://[::1]/a", "http://169.254.169.254/meta", "http://2130706433/a"):
        assert_problem(client.post("/v1/stt", json={"url": url}), 422, field="url")
    assert_problem(client.post("/v1/stt", json={"url": "file:///etc/passwd"}), 422, field="url")
    assert_problem(client.post("/v1/stt", json={"url": "https://user:pass@example.com/a"}), 422, field="url")


def test_an_unknown_model_is_refused_once_models_are_known(client, registry):
    registry.publish("models", {"demo": {"name": "demo"}})
    answer = client.post("/v1/stt", json={"url": "https://example.com/a.wav", "model": "huge"})
    assert "demo" in assert_problem(answer, 422, field="model")["detail"]


def test_an_idempotency_key_sees_the_bytes_and_stores_them_once(client, wav, services):
    def send(data):
        form = {"file": (io.BytesIO(data), "a.wav")}
        return client.post("/v1/stt", data=form, headers={"Idempotency-Key": "k"})

    first, again = send(wav), send(wav)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json["id"] == first.json["id"]
    assert stored(services) == [first.json["id"]]
    assert_problem(send(wav + b"\0\0"), 409, "idempotency_conflict")
    assert stored(services) == [first.json["id"]]
