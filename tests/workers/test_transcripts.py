"""Many recordings as one job: what is planned, what is told of those that cannot be had, what is assembled."""

import csv
import io
import json
import zipfile

import pytest

from jobs.record import Warn
from jobs.settings import Settings
from jobs.states import Kind, Status
from jobs.summaries import count_words, summary_csv
from tests.workers.household import Household

WAV = ("audio/wav", b"RIFF")
TXT = {"formats": ["txt"]}


@pytest.fixture
def house(redis, tmp_path):
    return Household(redis, Settings(data_dir=tmp_path, max_upload_bytes=100_000))


def zipped(*members, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def rows_of(house, job_id):
    found = csv.DictReader(io.StringIO(house.read(job_id, "summary.csv").decode("utf-8-sig")))
    return {row["file"]: row for row in found}


def names_in(house, job_id):
    with zipfile.ZipFile(io.BytesIO(house.read(job_id, "transcripts.zip"))) as archive:
        return archive.namelist()


def transcribe(house, *files, spec=TXT):
    """Plan a job, hear all its children, assemble it."""
    job_id = house.submit(Kind.TRANSCRIPTS, spec, files)
    assert house.run(job_id) is None
    for child in house.children(job_id):
        house.hear(child.id)
    assert house.run(job_id) is None
    return job_id


def test_the_result_mirrors_the_folders_of_uploads_and_archives(house):
    archive = zipped(
        ("talks/b.wav", b"RIFF"), ("__MACOSX/._b.wav", b"x"), ("talks/", b""), ("../../etc/c.wav", b"RIFF")
    )
    job_id = transcribe(house, ("2024/五月/a.wav", *WAV), ("heap.zip", "application/zip", archive))
    assert names_in(house, job_id) == ["2024/五月/a.txt", "talks/b.txt", "etc/c.txt", "summary.csv", "summary.json"]
    assert [blob.name for blob in house.queries.get(job_id).output_files][3:] == [
        "2024/五月/a.txt",
        "talks/b.txt",
        "etc/c.txt",
    ]
    assert house.read(job_id, "talks/b.txt").decode() == "你好 world"


def test_recordings_that_differ_in_their_ending_keep_it(house):
    job_id = transcribe(house, ("a.wav", *WAV), ("a.mp3", *WAV), ("b.wav", *WAV), ("b.wav", *WAV))
    assert names_in(house, job_id)[:4] == ["a.wav.txt", "a.mp3.txt", "b.wav.txt", "b.wav (2).txt"]


def test_the_summary_has_its_name_whatever_recordings_are_called(house):
    job_id = transcribe(house, ("summary.wav", *WAV), ("Summary.csv/a.wav", *WAV), spec={"formats": ["json"]})
    assert names_in(house, job_id) == ["summary (2).json", "Summary (2).csv/a.json", "summary.csv", "summary.json"]
    assert {row["file"] for row in json.loads(house.read(job_id, "summary.json"))} == {
        "summary.wav",
        "Summary.csv/a.wav",
    }


def test_names_in_archives_of_chinese_windows_are_read(house):
    archive = zipped(("AAAA.wav", b"RIFF")).replace(b"AAAA", "会议".encode("gb18030"))
    job_id = transcribe(house, ("x.zip", "application/zip", archive))
    assert names_in(house, job_id)[0] == "会议.txt"


def test_the_summary_has_a_row_for_each(house):
    job_id = house.submit(Kind.TRANSCRIPTS, TXT, [("a.wav", *WAV), ("=b.wav", *WAV)])
    house.run(job_id)
    one, two = house.children(job_id)
    house.hear(one.id)
    house.fail(two.id)
    house.run(job_id)
    rows = rows_of(house, job_id)
    assert rows["a.wav"] == {
        "file": "a.wav", "status": "succeeded", "seconds": "2.0", "language": "zh", "words": "3", "error": "",
        "warnings": "", "job": one.id,
    }  # fmt: skip
    assert (rows["'=b.wav"]["status"], rows["'=b.wav"]["error"]) == ("failed", "no sound"), "no formula"
    as_json = json.loads(house.read(job_id, "summary.json"))
    assert [(row["file"], row["files"]) for row in as_json] == [("a.wav", ["a.txt"]), ("=b.wav", [])]


def test_the_summary_tells_what_a_transcript_lacks(house):
    job_id = house.submit(Kind.TRANSCRIPTS, TXT, [("a.wav", *WAV)])
    house.run(job_id)
    [child] = house.children(job_id)
    warnings = (Warn("truncated", "breaks off at 3.1 s"), Warn("language", "hardly any speech"))
    house.succeed(child.id, ("x.txt", "text/plain", b"x"), text="x", warnings=warnings)
    house.run(job_id)
    [row] = json.loads(house.read(job_id, "summary.json"))
    assert row["warnings"] == "breaks off at 3.1 s; hardly any speech"
    assert rows_of(house, job_id)["a.wav"]["warnings"] == row["warnings"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_name_in_the_summary_is_no_formula(first):
    content = summary_csv([{"file": f"{first}HYPERLINK(A1)"}]).decode("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(content, newline=""))
    assert row["file"] == f"'{first}HYPERLINK(A1)"


def damaged():
    raw = bytearray(zipped(("bad.wav", b"RIFF" * 100), ("good.wav", b"RIFF"), compression=zipfile.ZIP_STORED))
    raw[raw.index(b"RIFF") + 50] ^= 0xFF
    return bytes(raw)


def encrypted():
    raw = bytearray(zipped(("secret.wav", b"RIFF")))
    raw[6] |= 1  # the local header's flags
    raw[raw.index(b"PK\1\2") + 8] |= 1  # the directory's
    return bytes(raw)


def misnamed():
    """A name that says it is UTF-8 and is not."""
    return zipped(("好.wav", b"RIFF")).replace("好".encode(), b"\xff\xfe\xfd")


@pytest.mark.parametrize(
    ("archive", "name", "reason"),
    [
        (b"PK\3\4 nonsense", "heap.zip", "heap.zip: File is not a zip file"),
        (damaged(), "bad.wav", "Bad CRC-32"),
        (encrypted(), "secret.wav", "encrypted"),
        (misnamed(), "heap.zip", "invalid start byte"),
        (zipped(("bomb.wav", bytes(90_000))), "bomb.wav", "the limit is"),
        (zipped(*((f"{n}.wav", bytes(99_000)) for n in range(11))), "heap.zip", "split it"),
    ],
    ids=["no zip", "damaged", "encrypted", "misnamed", "one bomb", "many bombs"],
)
def test_what_cannot_be_unpacked_fails_alone_and_has_no_child(house, archive, name, reason):
    job_id = transcribe(house, ("heap.zip", "application/zip", archive), ("ok.wav", *WAV))
    rows = rows_of(house, job_id)
    assert rows["ok.wav"]["status"] == "succeeded"
    assert (rows[name]["status"], rows[name]["job"]) == ("failed", "")
    assert reason in rows[name]["error"]
    warnings = house.queries.get(job_id).output["warnings"]
    assert [reason in warning["detail"] for warning in warnings] == [True]


def test_a_job_without_any_recording_says_why(house):
    job_id = house.submit(Kind.TRANSCRIPTS, TXT, [("heap.zip", "application/zip", b"PK\3\4 nonsense")])
    assert "not a zip file" in house.run(job_id).detail
    assert house.queries.get(job_id).status is Status.FAILED


MANIFEST = """file,url,store,name,language,formats,word_timestamps
talks/a.wav,,,,en,"srt,vtt",true
,https://example.com/x/call%201.mp3?sig=1,,,,,
,,calls/2024/b.wav,,ja,,
,,calls/c.wav,renamed/c.wav,,,
nowhere.wav,,,,,,
,,../secret.wav,,,,
,,d.wav,,english,,
"""


def test_a_manifest_names_recordings_and_gives_each_its_options(house):
    files = [("talks/a.wav", *WAV), (".manifest", "text/csv", MANIFEST.encode()), ("plain.wav", *WAV)]
    job_id = house.submit(Kind.TRANSCRIPTS, {**TXT, "language": "zh"}, files)
    assert house.run(job_id) is None
    found = {child.metadata["path"]: child for child in house.children(job_id)}
    assert list(found) == ["call 1.mp3", "calls/2024/b.wav", "renamed/c.wav", "talks/a.wav", "plain.wav"]
    assert found["call 1.mp3"].spec["url"] == "https://example.com/x/call%201.mp3?sig=1"
    assert (found["calls/2024/b.wav"].spec["store"], found["calls/2024/b.wav"].spec["language"]) == (
        "calls/2024/b.wav",
        "ja",
    )
    own = found["talks/a.wav"].spec
    assert (own["language"], own["formats"], own["word_timestamps"]) == ("en", ["srt", "vtt"], True)
    assert (found["plain.wav"].spec["language"], found["plain.wav"].spec["formats"]) == ("zh", ["txt"])
    for child in found.values():
        house.succeed(child.id, ("x.txt", "text/plain", b"x"), text="x")
    house.run(job_id)
    errors = {name: row["error"] for name, row in rows_of(house, job_id).items() if row["status"] == "failed"}
    assert "line 7: store: must be a relative path" in errors["line-7"]
    assert "line 8: language" in errors["line-8"]
    assert "no uploaded file is called nowhere.wav" in errors["nowhere.wav"]
    assert "renamed/c.txt" in names_in(house, job_id)


def test_a_recording_is_heard_once_for_each_line_about_it(house):
    manifest = """file,name,language
a.wav,zh/a.wav,zh
./a.wav,en/a.wav,en
in/b.wav,,zh
in/b.wav,,en
nowhere.wav,,zh
nowhere.wav,,en
"""
    archive = zipped(("in/b.wav", b"RIFF"))
    files = [("a.wav", *WAV), ("x.zip", "application/zip", archive), (".manifest", "text/csv", manifest.encode())]
    job_id = transcribe(house, *files)
    heard = [(child.metadata["path"], child.spec["language"]) for child in house.children(job_id)]
    assert heard == [("zh/a.wav", "zh"), ("en/a.wav", "en"), ("in/b.wav", "zh"), ("in/b.wav", "en")]
    assert names_in(house, job_id)[:4] == ["zh/a.txt", "en/a.txt", "in/b.wav.txt", "in/b.wav (2).txt"]
    rows = json.loads(house.read(job_id, "summary.json"))
    assert [row["file"] for row in rows if row["status"] == "failed"] == ["nowhere.wav", "nowhere.wav"]


def test_retry_runs_only_what_failed(house):
    job_id = house.submit(Kind.TRANSCRIPTS, TXT, [(f"{n}.wav", *WAV) for n in range(3)])
    house.run(job_id)
    one, two, three = house.children(job_id)
    house.hear(one.id)
    house.fail(two.id)
    house.hear(three.id)
    house.run(job_id)
    house.due.clear()
    house.ledger.retry(job_id, house.send)
    assert list(house.due) == [two.id]
    house.hear(two.id)
    house.run(job_id)
    assert {row["status"] for row in rows_of(house, job_id).values()} == {"succeeded"}


def test_there_is_a_limit_of_recordings(redis, tmp_path):
    house = Household(redis, Settings(data_dir=tmp_path, max_children=2))
    archive = zipped(*((f"{n}.wav", b"RIFF") for n in range(3)))
    job_id = house.submit(Kind.TRANSCRIPTS, TXT, [("x.zip", "application/zip", archive)])
    assert "VOXQUEUE_MAX_CHILDREN" in house.run(job_id).detail


def test_words_are_counted_in_every_script():
    assert [count_words(text) for text in ("", "你好，世界。", "It's 3 o'clock.", "用 GPU 算。")] == [0, 4, 5, 3]
