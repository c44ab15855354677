"""`voxqueue transcribe`: folders in, folders out, and nothing done twice whatever is killed when."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.cli.heap import collect
from app.cli.journal import Journal, Row
from app.client import Client
from jobs.record import Warn
from tests.app.conftest import HEARD
from tests.conftest import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


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


@pytest.mark.slow
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
            found = []
            with Client() as client:
                wait_until(lambda: found.extend(client.jobs(status="queued")) or found)
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


def test_a_transcript_corrected_by_hand_stays_whatever_is_asked(run, worker, redis, heap, tmp_path):
    asked = ("transcribe", "heap/a.wav", "-o", "out", "-F", "txt", "-F", "srt")
    run(*asked)
    text = tmp_path / "out" / "a.txt"
    text.write_text("您好，世界。")
    for _ in range(2):
        result = run(*asked)
        assert result.exit_code == 0, result.output
        assert "a.wav: warning: a.txt was changed since it was saved, and is left as it is\n" in result.stderr
    for other in (("--fresh",), ("--language", "zh")):
        result = run(*asked, *other)
        assert result.exit_code == 1
        assert "a.txt is there already and was changed since it was saved; move it" in result.stderr
    assert text.read_text() == "您好，世界。"
    text.unlink()
    assert run(*asked).exit_code == 0
    assert text.read_text() == HEARD["txt"]


@pytest.mark.parametrize("blocked", ["notes", "out/.voxqueue"])
def test_an_output_that_cannot_be_written_is_told_before_anything_is_uploaded(
    run, worker, proxy, heap, tmp_path, blocked
):
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    output = "notes/out" if blocked == "notes" else "out"
    result = run("transcribe", "heap", "-o", output)
    assert result.exit_code == 1
    assert re.search(f"transcripts cannot be saved in {output}: .*; change --output\n", result.stderr)
    assert proxy.lines == []


@pytest.mark.parametrize("name", ["summary.csv", "summary.json"])
def test_a_summary_of_the_user_is_not_written_over(run, worker, proxy, heap, tmp_path, name):
    mine = tmp_path / "out" / name
    mine.parent.mkdir()
    mine.write_text("month,sum\n")
    result = run("transcribe", "heap", "-o", "out", "--prompt", "fail")
    assert (result.exit_code, proxy.lines) == (1, [])
    assert f"out/{name} is there already and is no summary of transcripts; move it" in result.stderr
    assert mine.read_text() == "month,sum\n"
    mine.unlink()
    for _ in range(2):
        run("transcribe", "heap", "-o", "out", "--prompt", "fail")
        assert len(rows(tmp_path / "out")) == 5, "that of an earlier run is, though nothing was saved"


def test_without_bars_it_is_told_all_the_same_what_went_wrong(run, worker, heap):
    result = run("-q", "transcribe", "heap/a.wav", "-o", "out", "--prompt", "fail")
    assert result.stderr.startswith("a.wav: the file has no sound"), result.stderr
