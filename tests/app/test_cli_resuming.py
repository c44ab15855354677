"""Files that become one job, found again when the command is run again: transcripts of a manifest, batches, books."""

import json
import re
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.client import Client
from tests.conftest import PATIENCE, wait_until


def created(redis):
    return int(redis.get("vq:created") or 0)


@pytest.mark.parametrize("asked", [("heap", "-m", "m.csv"), ("heap.zip",)], ids=["manifest", "zip"])
def test_a_manifest_or_an_archive_is_one_job_whose_folders_are_unpacked(run, redis, heap, server_hand, tmp_path, asked):
    (tmp_path / "m.csv").write_text("file,store,name\na.wav,,x/first.wav\n,calls/b.wav,\n", "utf-8")
    with zipfile.ZipFile(tmp_path / "heap.zip", "w") as members:
        members.writestr("x/first.wav", "RIFF")
    first = json.loads(run("--json", "transcribe", *asked, "--no-wait").stdout)
    assert first["kind"] == "transcripts"
    inputs = json.loads(redis.hget(f"vq:job:{first['id']}", "inputs"))
    assert inputs[-1]["name"] in {".manifest", "heap.zip"}
    archive = tmp_path / "t.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("x/first.txt", "你好。")
        members.writestr("summary.csv", "file,status")
        members.writestr("summary.json", '{"text": "of a recording called summary.wav"}')
    summary = b'[{"status": "succeeded"}, {"status": "failed"}]'
    files = [
        ("transcripts.zip", "application/zip", archive.read_bytes()),
        ("summary.json", "application/json", summary),
    ]
    server_hand.succeed(first["id"], files)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_text("month,sum")
    (tmp_path / "out" / "summary.json").write_text('[\n  {\n    "file": "of an earlier run"}]')
    result = run("transcribe", *asked, "-o", "out")
    assert result.exit_code == 1
    assert "replaced in out, with other content than before: summary.csv\n" in result.stderr
    assert "1 recordings have no transcript" in result.stderr
    assert f"going on with job {first['id']}" in result.stderr
    assert (tmp_path / "out" / "x" / "first.txt").read_text("utf-8") == "你好。"
    assert created(redis) == 1
    assert run("transcribe").exit_code == 2


FOLLOWED = re.compile("GET /v1/jobs/")
LINES = b'{"custom_id": "x/one", "tts": {"text": "a"}}\nnonsense\n'


def test_a_batch_goes_on_with_its_job_and_saves_its_clips(run, environment, proxy, redis, server_hand, tmp_path):
    (tmp_path / "b.jsonl").write_bytes(LINES)
    first = json.loads(run("--json", "batch", "b.jsonl", "--no-wait").stdout)
    clips = tmp_path / "clips.zip"
    with zipfile.ZipFile(clips, "w") as archive:
        archive.writestr("x/one.wav", b"RIFF")
    results = b'{"status": "succeeded"}\n{"status": "failed"}\n'
    files = [("results.jsonl", "application/jsonl", results), ("results.zip", "application/zip", clips.read_bytes())]
    server_hand.succeed(first["id"], files)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.zip").write_text("mine")
    result = run("batch", "b.jsonl", "-o", "out")
    assert result.exit_code == 1
    assert f"going on with job {first['id']}" in result.stderr
    assert "1 lines have no result" in result.stderr
    assert (tmp_path / "out" / "x" / "one.wav").read_bytes() == b"RIFF"
    assert (tmp_path / "out" / "results.zip").read_text() == "mine"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.jsonl", "results.zip", "x"]
    assert created(redis) == 1
    again = json.loads(run("--json", "batch", "b.jsonl", "--no-wait", "--fresh").stdout)
    assert again["id"] != first["id"]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "jobs"), [("transcribe heap -F txt", 4), ("batch b.jsonl", 1)])
def test_a_run_outlasts_a_restart_of_the_server(run, proxy, server_hand, heap, tmp_path, command, jobs):
    (tmp_path / "b.jsonl").write_bytes(LINES)
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        archive.writestr("x/one.wav", b"RIFF")
    results = [
        ("results.jsonl", "application/jsonl", b'{"status": "succeeded"}'),
        ("results.zip", "application/zip", (tmp_path / "clips.zip").read_bytes()),
    ]

    def restart():
        with Client() as client:
            wait_until(lambda: len(list(client.jobs(status="queued"))) == jobs)
            wait_until(lambda: any(map(FOLLOWED.match, proxy.lines)))
            found = list(client.jobs(status="queued"))
        proxy.go()
        for job in found:
            server_hand.succeed(job.id, results if jobs == 1 else [("a.txt", "text/plain", b"a")])
        time.sleep(2)  # longer than a client tries to reach one that it does not know
        proxy.come_back()

    with ThreadPoolExecutor() as pool:
        restarted = pool.submit(restart)
        result = run(*command.split(), "-o", "out")
        restarted.result(PATIENCE)
    assert result.exit_code == 0, result.output


def test_what_is_in_the_way_of_a_clip_keeps_no_other_from_being_saved(run, environment, server_hand, tmp_path):
    (tmp_path / "lines").write_bytes(LINES)
    job = json.loads(run("--json", "batch", "lines", "--no-wait").stdout)["id"]
    clips = tmp_path / "clips.zip"
    with zipfile.ZipFile(clips, "w") as archive:
        for name in ("a.wav", "a.wav/b.wav", "b.wav/c.wav", "b.wav", "c.wav", "d.wav"):
            archive.writestr(name, name)
    files = [("results.jsonl", "application/jsonl", b""), ("results.zip", "application/zip", clips.read_bytes())]
    server_hand.succeed(job, files)
    folder = tmp_path / "lines-results"
    folder.mkdir()
    (folder / "c.wav").write_text("c.wav")
    (folder / "d.wav").write_text("mine")
    result = run("batch", "lines")
    assert result.exit_code == 1
    assert "in the place of a.wav/b.wav, b.wav; move it" in result.stderr
    assert "replaced in lines-results, with other content than before: d.wav\n" in result.stderr
    found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert found == {**{name: name for name in ("a.wav", "b.wav/c.wav", "c.wav", "d.wav")}, "results.jsonl": ""}


def test_a_book_goes_on_with_its_job_instead_of_from_zero(run, environment, redis, server_hand, tmp_path):
    (tmp_path / "a.md").write_text("# 一\n\n话说。", "utf-8")
    book = ("book", "a.md", "--title", "书")
    first = json.loads(run("--json", *book, "--no-wait").stdout)
    server_hand.fail(first["id"])
    again = run("--json", *book, "--no-wait")
    assert f"going on with job {first['id']}" in again.stderr
    assert json.loads(again.stdout)["status"] == "queued", "what failed is tried once more"
    server_hand.succeed(first["id"], [("书.m4b", "audio/mp4", b"M4B")])
    (tmp_path / "书.m4b").write_bytes(b"another book of this title")
    result = run(*book, "-o", "book.m4b")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "book.m4b").read_bytes() == b"M4B"
    assert (tmp_path / "书.m4b").read_bytes() == b"another book of this title"
    assert created(redis) == 1
    others = [("--voice", "demo"), ("--plan",), ("--plan",), ("--fresh",)]
    for number, other in enumerate(others, 2):
        assert json.loads(run("--json", *book, *other, "--no-wait").stdout)["id"] != first["id"]
        assert created(redis) == number
    (tmp_path / "a.md").write_text("# 一\n\n话说天下。", "utf-8")
    assert json.loads(run("--json", *book, "--no-wait").stdout)["id"] != first["id"]
