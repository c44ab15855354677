"""The command line against the real server."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from app.cli import COMMANDS, main
from app.keys import Keyring
from jobs.ledger import Claim, Ledger
from jobs.settings import Settings
from tests.conftest import free_port


@pytest.fixture
def run(server, redis, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("VOXQUEUE_URL", f"http://127.0.0.1:{server}")
    monkeypatch.delenv("VOXQUEUE_API_KEY", raising=False)
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_text_becomes_a_file(run, worker, tmp_path):
    result = run("tts", "你好。", "-o", "a.wav")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.wav").read_bytes() == b"RIFF" + "你好。".encode()
    assert (tmp_path / "a.srt").exists(), "subtitles go beside the sound"
    assert result.stdout.split() == ["a.wav", "a.srt"]


def test_a_file_under_the_servers_name_beside_the_output_stays(run, worker, tmp_path):
    for name in ("speech.wav", "speech.srt"):
        (tmp_path / name).write_text("mine")
    assert run("tts", "你好。", "-o", "a.wav").stdout.split() == ["a.wav", "a.srt"]
    assert (tmp_path / "a.wav").read_bytes() == b"RIFF" + "你好。".encode()
    assert {(tmp_path / name).read_text() for name in ("speech.wav", "speech.srt")} == {"mine"}


def test_an_output_whose_ending_is_no_format_is_refused_before_anything_is_spoken(run, worker):
    result = run("tts", "你好。", "-o", "a.ogg")
    assert result.exit_code == 2
    assert ".ogg is none of wav, flac" in result.stderr
    assert run("tts", "你好。", "-o", "a.ogg", "--format", "opus").exit_code == 0


def test_a_text_may_come_through_a_pipe_and_the_sound_leave_by_one(run, worker):
    result = run("--quiet", "tts", "-", "-o", "-", input="管道。")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"RIFF" + "管道。".encode()


def test_a_failed_job_is_exit_code_1_with_its_reason(run, worker):
    result = run("tts", "fail")
    assert result.exit_code == 1
    assert "the file has no sound" in result.stderr


def test_recordings_become_text(run, worker, wav, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(wav)
    result = run("stt", "a.wav", "b.wav", "--language", "zh")
    assert (result.exit_code, result.stdout) == (0, "你好。世界。\n你好。世界。\n")


def test_a_recording_may_come_through_a_pipe(run, worker, wav):
    assert run("stt", "-", input=wav).stdout == "你好。世界。\n"


def test_no_wait_prints_the_id_and_the_rest_can_follow(run, tmp_path):
    job_id = run("tts", "wait", "--no-wait", "--metadata", "row=1").stdout.strip()
    assert job_id in run("jobs").stdout
    shown = json.loads(run("show", job_id).stdout)
    assert (shown["id"], shown["metadata"]) == (job_id, {"row": "1"})
    assert run("cancel", job_id).stdout.split() == [job_id, "canceled"]
    assert run("retry", job_id).stdout.split() == [job_id, "queued"]
    assert run("delete", job_id).exit_code == 0
    assert run("show", job_id).exit_code == 4


@pytest.mark.parametrize("command", ["cancel", "retry", "delete"])
def test_one_refused_job_keeps_no_other_from_its_turn(run, server_hand, command):
    ids = [run("tts", text, "--no-wait").stdout.strip() for text in "ab"]
    for job_id in ids if command == "retry" else []:
        server_hand.fail(job_id)
    result = run(command, "01m7y2t1wgghqtzswdpw5g3spc", *ids)
    assert result.exit_code == 4
    assert "01m7y2t1wgghqtzswdpw5g3spc: " in result.stderr
    left = [json.loads(line)["status"] for line in run("--json", "jobs").stdout.splitlines()]
    assert left == {"cancel": ["canceled"] * 2, "retry": ["queued"] * 2, "delete": []}[command]


def test_watch_and_fetch(run, worker, tmp_path):
    job_id = run("tts", "你好。", "--no-wait").stdout.strip()
    assert run("watch", job_id).exit_code == 0
    result = run("fetch", job_id, "-o", "out")
    assert result.exit_code == 0
    assert (tmp_path / "out" / "speech.wav").exists()


def test_json_is_a_line_for_each_job(run, worker):
    found = lines(run("--json", "tts", "你好。", "--no-wait"))
    assert found[0]["kind"] == "tts"
    assert lines(run("--json", "jobs"))[0]["id"] == found[0]["id"]


def test_books_heaps_and_batches(run, wav, tmp_path):
    (tmp_path / "a.md").write_text("# 一\n\n话说。")
    (tmp_path / "words").write_text("# mine\n重庆 chong2 qing4\n")
    (tmp_path / "heap").mkdir()
    (tmp_path / "heap" / "a.wav").write_bytes(wav)
    (tmp_path / "b.jsonl").write_text('{"custom_id": "1", "tts": {"text": "a"}}')
    book = lines(run("--json", "book", "a.md", "--dictionary", "words", "--chapters", "1-2", "--no-wait"))[0]
    assert book["input"]["dictionary"] == {"重庆": "chong2 qing4"}
    heap = lines(run("--json", "transcribe", "heap", "--max-line-width", "30", "--max-line-count", "1", "--no-wait"))[0]
    assert heap["kind"] == "transcripts"
    assert (heap["input"]["max_line_width"], heap["input"]["max_line_count"]) == (30, 1)
    assert lines(run("--json", "batch", "b.jsonl", "--no-wait"))[0]["kind"] == "batch"
    for piped, name in (('{"custom_id": "2", "text": "b"}\n', "stdin.jsonl"), ("custom_id,text\n3,c\n", "stdin.csv")):
        job = lines(run("--json", "batch", "-", "--no-wait", input=piped))[0]
        assert [file["name"] for file in job["input"]["files"]] == [name]


def test_exit_codes_tell_what_went_wrong(run):
    assert run("tts", "a", "--speed", "3").exit_code == 2
    assert run("tts", "a", "--metadata", "novalue").exit_code == 2
    refused = run("tts", "a", "--sample-rate", "1")
    assert refused.exit_code == 4
    assert "sample_rate" in refused.stderr
    absent = run("--server", f"http://127.0.0.1:{free_port()}", "jobs")
    assert absent.exit_code == 3
    assert "voxqueue up" in absent.stderr
    assert "Traceback" not in absent.output


def test_the_server_may_stand_in_a_file(run, server, tmp_path, monkeypatch):
    monkeypatch.delenv("VOXQUEUE_URL")
    folder = tmp_path / "config" / "voxqueue"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'server = "http://127.0.0.1:{server}"\n')
    assert run("jobs").exit_code == 0
    (folder / "config.toml").write_text("server = ")
    assert "config.toml" in run("jobs").stderr


def test_voices_and_workers(run, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7", "M1"], "sample_rate": 16000}})
    registry.publish_worker("w", {"name": "tts@host", "kind": "tts", "mean_batch_rows": 4.5})
    assert "F7, M1" in run("voices").stdout
    assert "4.50" in run("workers").stdout
    assert lines(run("--json", "voices"))[0]["sample_rate"] == 16000


def test_keys_are_made_and_fit(run, tmp_path):
    made = run("keys", "create", "anna", "--role", "admin", "--file", "keys")
    secret = made.stdout.split()[-1]
    key = Keyring.read(str(tmp_path / "keys")).find(secret)
    assert (key.owner, key.role) == ("anna", "admin")
    assert secret not in (tmp_path / "keys").read_text()
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
    assert run("keys", "create", "an*na").exit_code == 2


@pytest.mark.slow
def test_the_doctor_finds_what_is_there_and_what_to_do(run, valkey, monkeypatch):
    monkeypatch.setenv("VOXQUEUE_REDIS_URL", valkey.url)
    from jobs.settings import settings

    settings.cache_clear()
    try:
        found = {one["what"]: one for one in lines(run("--json", "doctor"))}
    finally:
        settings.cache_clear()
    assert found["Python"]["state"] == "good"
    assert found["Redis"]["state"] == "good"
    assert found["Redis keeps jobs"]["state"] == "bad", "the server of the tests keeps nothing"
    assert found["Redis keeps jobs"]["cure"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(run, name):
    result = run(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") > 3


def test_completion_is_printed(run):
    assert "_VOXQUEUE_COMPLETE" in run("completion", "bash").stdout


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from app.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'flask','celery','torch','gevent'} & set(sys.modules); sys.exit(f'{heavy}' if heavy else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_operators_pause_drain_and_resume(run, redis):
    job_id = run("tts", "你好。", "--no-wait").stdout.strip()
    assert "queue:tts is paused" in run("pause", "tts").stdout
    [held] = lines(run("--json", "holds"))
    assert (held["held"], held["drained"], held["waiting"]["tts"]) == (["queue:tts"], [], 1)
    assert "queue:tts is drained" in run("drain", "tts").stdout
    assert "owner:ann is paused" in run("pause", "owner:ann").stdout
    for what in ("tts", "owner:ann"):
        assert run("resume", what).exit_code == 0
    assert "Nothing is held." in run("holds").stdout
    assert run("pause", "music").exit_code == 2
    assert run("pause", "queue:music").exit_code == 4
    ledger = Ledger(redis)
    assert isinstance(ledger.claim(job_id, int(redis.hget(f"vq:job:{job_id}", "token")), "worker"), Claim)
    stuck = run("drain", "tts", "--wait", "0.1")
    assert (stuck.exit_code, "1 jobs of tts still run" in stuck.stderr) == (1, True)
    run("resume", "tts")


def test_the_doctor_tries_the_store_and_shows_no_password(monkeypatch, tmp_path):
    from app.cli import doctor

    def look(check, **settings):
        return [(one.state, one.detail) for one in check(Settings(**settings))]

    assert look(doctor.disk, results=f"file://{tmp_path}") == [
        ("good", f"file://{tmp_path} takes, gives back and removes a file")
    ]
    assert list(tmp_path.rglob("*.*")) == []
    [(state, detail)] = look(doctor.disk, results="nowhere://x")
    assert (state, "nowhere" in detail) == ("bad", True)
    for url, expected in (
        ("sentinel://:secret@127.0.0.1:1/0?master=m&sentinel_password=secret", "note"),
        ("sentinel://:secret@127.0.0.1:1/0", "bad"),
    ):
        [(state, detail)] = look(doctor.redis, redis_url=url)
        assert (state, "secret" in detail) == (expected, False)
