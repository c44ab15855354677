"""`voxqueue transcribe` and `batch`: folders in, folders out, and nothing done twice whatever is killed when."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.heap import collect
from app.cli.journal import Journal, Row
from app.client import Client
from jobs.record import Warn
from tests.app.conftest import HEARD
from tests.app.proxy import Proxy
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def proxy(server):
    made = Proxy(server)
    yield made
    made.close()


@pytest.fixture
def environment(proxy, redis, tmp_path, monkeypatch):
    """An empty folder, and the server behind the proxy."""
    monkeypatch.chdir(tmp_path)
    found = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "VOXQUEUE_URL": f"http://127.0.0.1:{proxy.port}"}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VOXQUEUE_API_KEY", raising=False)
    return {**os.environ, **found}


@pytest.fixture
def run(environment):
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


@pytest.fixture
def heap(wav, tmp_path):
    """A folder of recordings that differ; `a.wav` and `b/copy.wav` are the same."""
    for number, name in enumerate(("a.wav", "b/c.wav", "b/d/e.wav", "b/d/e.mp3")):
        path = tmp_path / "heap" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav + bytes(2 * number))
    (tmp_path / "heap" / "b" / "copy.wav").write_bytes(wav)
    (tmp_path / "heap" / ".hidden.wav").write_bytes(wav)
    return tmp_path / "heap"


def texts(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.txt"))


def created(redis):
    return int(redis.get("vq:created") or 0)


def rows(folder):
    return {row["file"]: row for row in csv.DictReader((folder / "summary.csv").read_text("utf-8-sig").splitlines())}


def test_a_heap_becomes_a_folder_like_it(run, worker, redis, heap, tmp_path):
    result = run("transcribe", "heap", "-o", "out", "-F", "txt")
    assert result.exit_code == 0, result.output
    assert texts(tmp_path / "out") == ["a.txt", "b/c.txt", "b/copy.txt", "b/d/e.mp3.txt", "b/d/e.wav.txt"]
    assert (tmp_path / "out" / "b" / "c.txt").read_text() == "你好。世界。\n"
    assert rows(tmp_path / "out")["b/c.wav"]["words"] == "4"
    assert created(redis) == 4, "equal recordings are transcribed once"


def test_what_is_done_is_left_as_it_is(run, worker, proxy, redis, heap, tmp_path):
    run("transcribe", "heap", "-o", "out", "-F", "txt")
    proxy.lines.clear()
    assert run("transcribe", "heap", "-o", "out", "-F", "txt").exit_code == 0
    assert proxy.lines == []
    (tmp_path / "out" / "a.txt").unlink()
    (heap / "a.wav").rename(heap / "b" / "renamed.wav")
    assert run("transcribe", "heap", "-o", "out", "-F", "txt").exit_code == 0
    assert "b/renamed.txt" in texts(tmp_path / "out")
    assert (proxy.count("POST", "/v1/stt"), created(redis)) == (0, 4)
    assert set(rows(tmp_path / "out")) == {"b/c.wav", "b/copy.wav", "b/d/e.wav", "b/d/e.mp3", "b/renamed.wav"}
    run("transcribe", "heap", "-o", "out", "-F", "srt")
    assert created(redis) == 8, "other options are other work"
    run("transcribe", "heap", "-o", "out", "-F", "srt", "--fresh")
    assert created(redis) == 12


@pytest.mark.parametrize("hold", [1, 3])
def test_killed_while_uploading_it_goes_on_without_doing_anything_twice(
    request, environment, proxy, redis, heap, tmp_path, hold
):
    proxy.hold = hold
    program = [sys.executable, "-c", "from app.cli import main; main()", "-q"]
    command = [*program, "transcribe", str(heap), "-o", "out", "-F", "txt", "--parallel", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)})
    assert proxy.held.wait(PATIENCE), "the server has the recording, the client does not know"
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    assert proxy.count("POST", "/v1/stt") == hold
    proxy.hold = None
    request.getfixturevalue("worker")
    assert (
        subprocess.run(command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, check=False).returncode == 0
    )
    assert len(texts(tmp_path / "out")) == 5
    assert (proxy.count("POST", "/v1/stt"), created(redis)) == (4, 4)


def test_what_cannot_be_done_is_told_and_tried_again(run, worker, redis, heap, tmp_path):
    (heap / "b" / "letter.wav").write_text("这是一封信。" * 99)
    result = run("transcribe", "heap", "-o", "out", "--prompt", "fail")
    assert result.exit_code == 1
    assert "no transcript" in result.stderr
    found = rows(tmp_path / "out")
    assert (found["b/letter.wav"]["status"], found["a.wav"]["status"]) == ("refused", "failed")
    assert "letter.wav is a text" in found["b/letter.wav"]["error"]
    job = found["a.wav"]["job"]
    attempt = int(redis.hget(f"vq:job:{job}", "attempt"))
    run("transcribe", "heap", "-o", "out", "--prompt", "fail")
    assert int(redis.hget(f"vq:job:{job}", "attempt")) == attempt + 1
    assert created(redis) == 4


def test_without_waiting_the_heap_is_one_job_with_its_folders(run, heap):
    result = run("--json", "transcribe", "heap", "--no-wait")
    job = json.loads(result.stdout)
    assert job["kind"] == "transcripts"
    assert "b/d/e.wav" in [file["name"] for file in job["input"]["files"]]


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
        members.writestr("summary.json", '{"text": "of a recording called summary.wav"}')
    summary = b'[{"status": "succeeded"}, {"status": "failed"}]'
    files = [
        ("transcripts.zip", "application/zip", archive.read_bytes()),
        ("summary.json", "application/json", summary),
    ]
    server_hand.succeed(first["id"], files)
    result = run("transcribe", *asked, "-o", "out")
    assert result.exit_code == 1
    assert "1 recordings have no transcript" in result.stderr
    assert f"going on with job {first['id']}" in result.stderr
    assert (tmp_path / "out" / "x" / "first.txt").read_text("utf-8") == "你好。"
    assert created(redis) == 1
    assert run("transcribe").exit_code == 2


def test_names_of_several_folders_do_not_meet(tmp_path):
    for name in ("x/a.wav", "y/a.wav", "z/x/a.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    several = collect(
        [tmp_path / "x", tmp_path / "y", tmp_path / "x" / "a.wav", tmp_path / "z" / "x" / "a.wav"], tmp_path / "o"
    )
    assert [one.name for one in several] == ["x/a.wav", "y/a.wav", "a.wav", "x/x/a.wav"]
    assert [one.name for one in collect([tmp_path / "z"], tmp_path / "o")] == ["x/a.wav"]


def test_half_a_line_of_the_journal_costs_one_recording(tmp_path):
    journal = Journal(tmp_path)
    for name in ("a", "b"):
        journal.add("k", Row(name, "succeeded"))
    path = tmp_path / ".voxqueue" / "journal.jsonl"
    path.write_text(path.read_text()[:-10])
    Journal(tmp_path).add("k", Row("c", "succeeded"))
    found = Journal(tmp_path)
    assert [bool(found.done("k", name, name)) for name in "abc"] == [True, False, True]


def test_a_journal_may_be_cut_through_a_character_and_names_may_hold_anything(tmp_path):
    strange = os.fsdecode("一\u2028".encode() + b"\xff")
    Journal(tmp_path).add("k", Row(strange, "succeeded"))
    path = tmp_path / ".voxqueue" / "journal.jsonl"
    path.write_bytes(path.read_bytes() + "\n{你".encode()[:-1])
    assert Journal(tmp_path).done("k", strange, "")


def test_a_recording_or_transcript_that_the_disk_refuses_costs_only_itself(run, worker, heap, tmp_path):
    (heap / "broken.wav").symlink_to("/proc/self/mem")
    (heap / "b" / "c.wav").rename(heap / "b" / os.fsdecode(b"bad\xff.wav"))
    (heap / "a.wav").rename(heap / f"{'x' * 251}.wav")
    for _ in range(2):
        result = run("transcribe", "heap", "-o", "out", "-F", "json")
        assert result.exit_code == 1, result.output
        found = rows(tmp_path / "out")
        assert [name[:3] for name, row in found.items() if row["status"] != "succeeded"] == ["bro", "xxx"]
        assert found["broken.wav"]["error"] == "cannot be read: Input/output error"
        assert found[f"{'x' * 251}.wav"]["error"] == "cannot be saved: File name too long"
        assert found["b/bad\ufffd.wav"]["status"] == "succeeded"
    assert (tmp_path / "out" / "b" / os.fsdecode(b"bad\xff.json")).exists()


@pytest.fixture
def transcribe(run, server_hand):
    """Run `voxqueue transcribe` while a hand ends its job with a text."""

    def hear(text, *options, **output):
        def end():
            with Client() as client:
                while not (found := list(client.jobs(status="queued"))):
                    time.sleep(0.02)
            server_hand.succeed(found[0].id, [("a.txt", "text/plain", text.encode())], **output)

        with ThreadPoolExecutor() as pool:
            ended = pool.submit(end)
            result = run("transcribe", "heap/a.wav", "-o", "out", "-F", "txt", *options)
            ended.result(PATIENCE)
        assert result.exit_code == 0, result.output
        return result

    return hear


def test_a_transcript_of_other_options_is_not_kept_though_its_size_is_the_same(run, transcribe, heap, tmp_path):
    transcribe("发", "--script", "hans")
    transcribe("發", "--script", "hant")
    for script, text in (("hans", "发"), ("hant", "發")):
        assert run("transcribe", "heap/a.wav", "-o", "out", "-F", "txt", "--script", script).exit_code == 0
        assert (tmp_path / "out" / "a.txt").read_text("utf-8") == text


def test_warnings_of_a_recording_are_told(transcribe, heap, tmp_path):
    cut = Warn("truncated", "the recording breaks off after 3 s")
    assert f"a.wav: warning: {cut.detail}" in transcribe("a", warnings=(cut,)).stderr
    assert rows(tmp_path / "out")["a.wav"]["warnings"] == cut.detail


def test_each_transcript_has_a_place_of_its_own(run, worker, wav, tmp_path):
    names = ("talk.wav", "talk.mp3", "talk.mp3.wav", "summary.wav", "k.txt/in.wav", "k.wav", "k/in.wav")
    for name in names:
        path = tmp_path / "heap" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav)
    assert run("transcribe", "heap", "-o", "out", "-F", "json", "-F", "txt").exit_code == 0
    out = tmp_path / "out"
    saved = [file for row in json.loads((out / "summary.json").read_text("utf-8")) for file in row["files"]]
    assert len(set(saved)) == 2 * len(names)
    read = [(out / file).read_text("utf-8") for file in saved]
    assert sorted(set(read)) == sorted([HEARD["json"], HEARD["txt"]])
    assert {"k/in.txt", "k.wav.txt", "k.txt/in.txt", "talk.wav.txt", "talk.mp3.txt"} <= set(saved)


@pytest.mark.parametrize("output", [(), ("-o", ".")], ids=["a folder of its own", "the same folder"])
def test_results_are_not_taken_for_recordings(run, worker, wav, redis, tmp_path, output):
    (tmp_path / "a.wav").write_bytes(wav)
    for _ in range(2):
        result = run("transcribe", ".", *output, "-F", "txt")
        assert result.exit_code == 0, result.output
    assert created(redis) == 1


def test_a_file_of_the_user_is_not_written_over(run, worker, wav, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav)
    (tmp_path / "a.txt").write_text("notes")
    for _ in range(2):
        result = run("transcribe", "a.wav", "-o", ".", "-F", "txt")
        assert result.exit_code == 1
        assert "a.txt is there already and is no transcript of an earlier run" in result.stderr
        assert (tmp_path / "a.txt").read_text() == "notes"


def test_bytes_that_another_program_submits_meanwhile_are_one_job(run, worker, redis, heap, tmp_path, monkeypatch):
    listed = Client.jobs

    def late(client, idempotency_key):
        monkeypatch.setattr(Client, "jobs", listed)
        options = {"formats": ["txt"], "priority": "bulk"}
        client.stt(("other.wav", heap / "a.wav"), idempotency_key=idempotency_key, **options)
        return iter(())

    monkeypatch.setattr(Client, "jobs", late)
    result = run("transcribe", "heap/a.wav", "-o", "out", "-F", "txt")
    assert (result.exit_code, created(redis)) == (0, 1), result.output
    assert texts(tmp_path / "out") == ["a.txt"]


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
            while len(found := list(client.jobs(status="queued"))) < jobs or not any(map(FOLLOWED.match, proxy.lines)):
                time.sleep(0.02)
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
