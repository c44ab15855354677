"""`POST /v1/audiobooks`, `/v1/transcripts`, `/v1/batches`: jobs with children."""

import io
import json
import zipfile

import pytest

from jobs.ids import child_id
from jobs.ledger import NewJob
from jobs.load import BYTES_A_SECOND
from jobs.states import Kind
from tests.app.problems import assert_problem

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
GOOD = {"custom_id": "1", "tts": {"text": "你好。"}}


def jsonl(*lines):
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()


def epub():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
    return file.getvalue()


@pytest.fixture
def stored(services):
    """The ID and the input of the only job in the store."""

    def read(job_id, index=0):
        blob = services.queries.get(job_id).inputs[index]
        with services.store.open(job_id, blob) as file:
            return blob, file.read()

    return read


@pytest.fixture
def post(client):
    """Send a form: strings are fields, pairs are files."""

    def send(path, **parts):
        data = {}
        for name, value in parts.items():
            pairs = value if isinstance(value, list) else [value]
            data[name] = [one if isinstance(one, str) else (io.BytesIO(one[0]), one[1]) for one in pairs]
        return client.post(path, data=data, content_type="multipart/form-data")

    return send


def assert_parent(answer, kind):
    assert answer.status_code == 202, answer.text
    job = answer.json
    assert (job["kind"], job["status"]) == (kind, "queued")
    assert job["children"] == {"total": 0, "queued": 0, "running": 0, "succeeded": 0, "failed": 0, "canceled": 0}
    assert job["links"]["children"] == f"/v1/jobs?parent={job['id']}"
    return job


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (epub(), "西游记.epub", "application/epub+zip"),
        ("第一章\n话说。".encode(), "a.txt", "text/plain"),
        ("第一章\n话说。".encode("gb18030"), "a.txt", "text/plain"),
        (b"# One\n\ntext", "a.md", "text/markdown"),
    ],
)
def test_a_book_is_taken_in(post, stored, data, name, media_type):
    job = assert_parent(post("/v1/audiobooks", file=(data, name), title="书", speak_titles="false"), "audiobook")
    assert (job["input"]["title"], job["input"]["speak_titles"]) == ("书", False)
    assert job["input"]["priority"] == "bulk"
    blob, content = stored(job["id"])
    assert (content, blob.name, blob.media_type) == (data, name, media_type)


def test_a_book_goes_to_the_planners_queue(post, redis):
    job = post("/v1/audiobooks", file=(b"text", "a.txt")).json
    message = json.loads(redis.lindex("cpu:7", -1))
    assert (message["headers"]["id"], message["headers"]["task"]) == (f"{job['id']}.plan", "plan")


def test_chapters_are_kept_as_a_file_and_not_in_the_record(client, stored, redis):
    chapters = [{"title": "一", "text": "话说。"}, {"text": "再说。"}]
    job = assert_parent(client.post("/v1/audiobooks", json={"chapters": chapters, "voice": None}), "audiobook")
    blob, content = stored(job["id"])
    assert blob.name == "chapters.json"
    assert json.loads(content) == [chapters[0], {"title": "", "text": "再说。"}]
    assert "话说" not in redis.hget(f"vq:job:{job['id']}", "spec")


def test_a_cover_comes_after_the_book(post, stored):
    job = post("/v1/audiobooks", cover=(PNG, "c.png"), file=(b"text", "a.txt")).json
    assert [stored(job["id"], index)[0].media_type for index in (0, 1)] == ["text/plain", "image/png"]


def test_book_options_are_written_as_json_in_a_form(post):
    answer = post(
        "/v1/audiobooks",
        file=(b"text", "a.txt"),
        dictionary='{"重庆": "chong2 qing4"}',
        pauses='{"chapter": 2000}',
        chapters_selected="1-3,5",
        subtitles="srt,lrc",
        plan="true",
    )
    shown = assert_parent(answer, "audiobook")["input"]
    assert shown["dictionary"] == {"重庆": "chong2 qing4"}
    assert (shown["pauses"], shown["chapters_selected"], shown["plan"]) == ({"chapter": 2000}, "1-3,5", True)


@pytest.mark.parametrize(
    ("parts", "status", "field"),
    [
        ({"file": (PNG, "a.epub")}, 415, "file"),
        ({"file": (b"PK\3\4" + bytes(99), "a.zip")}, 415, "file"),
        ({"file": (b"", "a.txt")}, 422, "file"),
        ({"file": (b"text", "a.txt"), "cover": (b"GIF89a" + bytes(99), "c.gif")}, 415, "cover"),
        ({"file": (b"text", "a.txt"), "chapters": '[{"text": "b"}]'}, 422, "chapters"),
        ({"file": (b"text", "a.txt"), "chapters_selected": "all"}, 422, "chapters_selected"),
        ({"file": (b"text", "a.txt"), "pauses": '{"word": 5}'}, 422, "pauses.word"),
        ({"file": (b"text", "a.txt"), "loudness": "loud"}, 422, "loudness"),
        ({"title": "书"}, 422, "file"),
    ],
)
def test_a_wrong_book_is_refused_by_name_and_leaves_nothing(post, services, parts, status, field):
    assert_problem(post("/v1/audiobooks", **parts), status, field=field)
    assert list(services.store.job_ids()) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "chapters"),
        ({"chapters": []}, "chapters"),
        ({"chapters": [{"title": "a"}]}, "chapters[0].text"),
        ({"chapters": [{"text": "a"}, {"title": "b", "text": " * * "}]}, "chapters[1].text"),
        ({"chapters": [{"text": "a", "titel": "b"}]}, "chapters[0].titel"),
    ],
)
def test_wrong_chapters_are_refused_by_name(client, body, field):
    assert_problem(client.post("/v1/audiobooks", json=body), 422, field=field)


@pytest.mark.parametrize(("ranges", "wrong"), [("1,", "''"), ("1-3,x", "'x'"), ("2-", "'2-'")])
def test_wrong_ranges_of_chapters_are_told_in_words(client, ranges, wrong):
    body = {"chapters": [{"text": "a"}], "chapters_selected": ranges}
    answer = assert_problem(client.post("/v1/audiobooks", json=body), 422, field="chapters_selected")
    said = f"must be numbers and ranges of chapters such as 1-3,5; {wrong} is neither"
    assert answer["detail"] == f"chapters_selected: {said}"


def test_a_book_has_a_limit(app_of):
    client = app_of(max_book_chars=10).test_client()
    chapters = [{"text": "一" * 6}, {"text": "二" * 5}]
    assert_problem(client.post("/v1/audiobooks", json={"chapters": chapters}), 422, field="chapters", limit=10)


def test_the_voices_of_a_book_are_checked(client, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "emotions": []}})
    body = {"chapters": [{"text": "a"}]}
    assert_problem(client.post("/v1/audiobooks", json={**body, "voice": "x"}), 422, field="voice")
    wrong = client.post("/v1/audiobooks", json={**body, "dialogue_voice": "x"})
    assert_problem(wrong, 422, field="dialogue_voice")


def test_many_recordings_and_archives_are_one_job(post, wav, stored):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("c.wav", wav)
    files = [(wav, "a.wav"), (wav, "b.wav"), (archive.getvalue(), "rest.zip")]
    job = assert_parent(post("/v1/transcripts", files=files, language="zh", formats="txt,srt"), "transcripts")
    assert [file["name"] for file in job["input"]["files"]] == ["a.wav", "b.wav", "rest.zip"]
    assert job["progress"]["unit"] == "file"
    assert stored(job["id"], 2)[0].media_type == "application/zip"


def test_one_wrong_file_of_many_refuses_nothing_it_fails_alone_later(post, wav, stored):
    files = [(wav, "a.wav"), (b"text", "notes.txt"), (b"", "empty.wav")]
    job = assert_parent(post("/v1/transcripts", files=files), "transcripts")
    assert [stored(job["id"], index)[0].media_type for index in (0, 1)] == ["audio/wav", "application/octet-stream"]


def test_recordings_keep_their_folders_and_lead_nowhere(post, wav, stored):
    files = [
        (wav, "2024/五月/a.wav"),
        (wav, "../../../etc/b.wav"),
        (wav, "/c.wav"),
        (wav, "C:/d.wav"),
        (wav, "a/./e.wav"),
    ]
    job = assert_parent(post("/v1/transcripts", files=files), "transcripts")
    names = [file["name"] for file in job["input"]["files"]]
    assert names == ["2024/五月/a.wav", "etc/b.wav", "c.wav", "d.wav", "a/e.wav"]


def test_a_manifest_is_the_body_or_a_file(client, post, wav, stored):
    csv = b"url,language\nhttps://example.com/a.wav,en\n,zh\n"
    answer = client.post(
        "/v1/transcripts?formats=srt,txt&language=zh", data=csv, content_type="text/csv; charset=utf-8"
    )
    job = assert_parent(answer, "transcripts")
    assert (job["input"]["formats"], job["input"].get("files")) == (["srt", "txt"], [])
    blob, content = stored(job["id"])
    assert (blob.media_type, content) == ("text/csv", csv)
    lines = jsonl({"file": "a.wav", "language": "en"})
    answer = post("/v1/transcripts", files=(wav, "a.wav"), manifest=(lines, "m.jsonl"), language="zh")
    job = assert_parent(answer, "transcripts")
    assert stored(job["id"], 1)[0].media_type == "application/jsonl"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"url": "https://example.com/a.wav", "store": "a.wav"}, "one of file, url and store"),
        ({"store": "../a.wav"}, "relative path"),
        ({"file": "a.wav", "beam_size": 99}, "beam_size: must be at most 10"),
        ({"file": "a.wav", "langage": "zh"}, "did you mean language?"),
        ({}, "one of file"),
        ("nonsense", "is no JSON"),
    ],
)
def test_a_manifest_without_a_good_line_is_refused_with_the_first_reason(client, services, line, reason):
    answer = client.post("/v1/transcripts", data=jsonl(line), content_type="application/jsonl")
    detail = assert_problem(answer, 422, field="manifest")["detail"]
    assert "line 1" in detail
    assert reason in detail
    assert list(services.store.job_ids()) == []


def commands(redis):
    """How often each command was called, without those that look at the server."""
    found = redis.info("commandstats")
    return {
        name: stats["calls"]
        for name, stats in found.items()
        if name not in {"cmdstat_info", "cmdstat_config|resetstat"}
    }


def test_looking_at_a_parent_costs_the_same_with_many_children_as_with_few(client, post, wav, services, redis):
    costs, sizes = [], []
    for count in (2, 300):
        job = assert_parent(
            post("/v1/transcripts", files=[(wav[:44], f"{n}.wav") for n in range(count)]), "transcripts"
        )
        parent = services.queries.get(job["id"])
        services.ledger.submit_many(
            [
                NewJob(child_id(parent.id, n), Kind.STT, "stt", 7, parent.owner, "{}", parent=parent.id, index=n)
                for n in range(count)
            ]
        )
        redis.config_resetstat()
        answer = client.get(f"/v1/jobs/{parent.id}")
        costs.append(commands(redis))
        assert answer.json["children"]["queued"] == count
        sizes.append(redis.memory_usage(f"vq:job:{parent.id}", samples=0))
    assert costs[0] == costs[1]
    assert sizes[1] < 40_000, "the record of a parent does not hold the names of all its files"


def test_a_heap_weighs_all_its_files(post, wav, redis):
    job = assert_parent(post("/v1/transcripts", files=[(wav[:2000], f"{n}.wav") for n in range(150)]), "transcripts")
    assert int(redis.hget(f"vq:job:{job['id']}", "seconds")) == 150 * 2000 // BYTES_A_SECOND


def test_recordings_are_needed_and_counted(app_of, client, post, wav):
    assert_problem(post("/v1/transcripts", language="zh"), 422, field="files")
    assert_problem(client.post("/v1/transcripts", json={"url": "https://example.com"}), 415)
    few = app_of(max_children=2).test_client()
    files = [(io.BytesIO(wav), f"{n}.wav") for n in range(3)]
    assert_problem(few.post("/v1/transcripts", data={"files": files}), 422, field="files", limit=2)


def test_lines_are_a_batch(client, stored):
    body = jsonl(GOOD, "", {"custom_id": "2", "stt": {"url": "https://example.com/a.wav"}}, "not json")
    answer = client.post(
        "/v1/batches?priority=normal&metadata=%7B%22a%22%3A%22b%22%7D", data=body, content_type="application/jsonl"
    )
    job = assert_parent(answer, "batch")
    assert (job["metadata"], job["input"]["priority"]) == ({"a": "b"}, "normal")
    assert stored(job["id"])[1] == body


def test_a_csv_is_a_batch(client, post, stored):
    csv = "custom_id,text,format\n1,你好。,mp3\n2,,\n".encode()
    job = assert_parent(client.post("/v1/batches?reuse=true", data=csv, content_type="text/csv"), "batch")
    assert (job["input"]["reuse"], stored(job["id"])[0].media_type) == (True, "text/csv")
    job = assert_parent(post("/v1/batches", file=(csv, "clips.CSV")), "batch")
    assert stored(job["id"])[0].media_type == "text/csv"
    wrong = client.post("/v1/batches", data="custom_id,text,sped\n1,a,2\n", content_type="text/csv")
    assert "tts.sped: is not a field" in assert_problem(wrong, 422, field="file")["detail"]


def test_lines_may_be_a_file(post, stored):
    job = assert_parent(post("/v1/batches", file=(jsonl(GOOD), "clips.jsonl"), timeout_seconds="60"), "batch")
    assert stored(job["id"])[0].name == "clips.jsonl"


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/json", "text/plain; charset=utf-8"])
def test_usual_media_types_of_lines_pass(client, media_type):
    assert client.post("/v1/batches", data=jsonl(GOOD), content_type=media_type).status_code == 202


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        {"custom_id": "1"},
        {"tts": {"text": "a"}},
        {"custom_id": "1", "tts": {"text": "a"}, "stt": {"url": "https://example.com"}},
        {"custom_id": "1", "stt": {}},
        {"custom_id": "1", "tts": {"text": "a", "speed": 9}},
    ],
)
def test_a_batch_without_a_good_line_is_refused_with_the_first_reason(client, services, line):
    answer = client.post("/v1/batches", data=jsonl(line), content_type="application/jsonl")
    assert "line 1" in assert_problem(answer, 422, field="file")["detail"]
    assert list(services.store.job_ids()) == []


def test_an_empty_or_too_long_batch_is_refused(app_of, client):
    for body in (b"", b"\n \n"):
        assert_problem(client.post("/v1/batches", data=body, content_type="text/plain"), 422, field="file")
    few = app_of(max_children=2).test_client()
    answer = few.post("/v1/batches", data=jsonl(GOOD, GOOD, GOOD), content_type="text/plain")
    assert_problem(answer, 422, field="file", limit=2)
    assert_problem(client.post("/v1/batches", data=b"x", content_type="audio/wav"), 415)
    wrong = client.post("/v1/batches?prio=1", data=jsonl(GOOD), content_type="text/plain")
    assert_problem(wrong, 422, field="prio")


def test_an_idempotency_key_works_for_parents(client):
    def send():
        return client.post("/v1/batches", data=jsonl(GOOD), content_type="text/plain", headers={"Idempotency-Key": "k"})

    first, again = send(), send()
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json["id"] == again.json["id"]


def test_a_parent_can_be_cancelled_and_deleted(client, post, services):
    job = post("/v1/audiobooks", file=(b"text", "a.txt")).json
    assert client.post(f"/v1/jobs/{job['id']}/cancel").json["status"] == "canceled"
    assert client.get(f"/v1/jobs?parent={job['id']}").json["data"] == []
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert list(services.store.job_ids()) == []
