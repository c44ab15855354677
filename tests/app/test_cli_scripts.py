"""The command line as scripts use it: JSON, pipes, completion, configuration, and what the doctor finds."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.doctor import Finding, disk, ffmpeg, gpu, libraries, models, ports, python, redis
from jobs.connect import connect
from jobs.settings import Settings
from tests.conftest import PATIENCE, free_port


@pytest.fixture
def run(server, redis, tmp_path, monkeypatch):
    """Run a command in an empty folder; gives its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("VOXQUEUE_URL", f"http://127.0.0.1:{server}")
    monkeypatch.delenv("VOXQUEUE_API_KEY", raising=False)
    return lambda *arguments, **options: CliRunner().invoke(main, ["--json", *arguments], **options)


def objects(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.slow
def test_every_command_speaks_json_alone_on_its_output(run, worker, registry, wav, tmp_path):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "sample_rate": 16000}})
    registry.publish_worker("w", {"name": "tts@host", "kind": "tts", "device": "cpu"})
    (tmp_path / "a.wav").write_bytes(wav)
    [spoken] = objects(run("tts", "你好。"))
    assert (spoken["kind"], spoken["status"]) == ("tts", "succeeded")
    [heard] = objects(run("stt", "a.wav"))
    assert heard["output"]["text"] == "你好。世界。"
    assert {job["id"] for job in objects(run("jobs"))} == {spoken["id"], heard["id"]}
    assert [job["id"] for job in objects(run("jobs", "--kind", "stt"))] == [heard["id"]]
    assert objects(run("show", spoken["id"]))[0]["id"] == spoken["id"]
    assert objects(run("watch", spoken["id"]))[0]["status"] == "succeeded"
    assert objects(run("fetch", spoken["id"], "-o", "out"))[0]["id"] == spoken["id"]
    [waiting] = objects(run("tts", "wait", "--no-wait"))
    assert objects(run("cancel", waiting["id"]))[0]["id"] == waiting["id"]
    assert objects(run("voices"))[0]["name"] == "demo"
    assert {model["id"] for model in objects(run("models"))} >= {"tts-1", "whisper-1"}
    assert objects(run("workers"))[0]["device"] == "cpu"


def test_books_and_heaps_are_lines_of_json_too(run, wav, tmp_path):
    (tmp_path / "a.md").write_text("# 一\n\n话说。")
    (tmp_path / "a.wav").write_bytes(wav)
    assert objects(run("book", "a.md", "--no-wait"))[0]["kind"] == "audiobook"
    assert objects(run("transcribe", "a.wav", "--no-wait"))[0]["kind"] == "transcripts"


def complete(words, shell="bash"):
    line = ["voxqueue", *words]
    environment = {**os.environ, "COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words))}
    environment["_VOXQUEUE_COMPLETE"] = f"{shell}_complete"
    program = "from app.cli import main; main(prog_name='voxqueue')"
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in ended.stdout.splitlines() if line]


@pytest.mark.slow
def test_the_shell_completes_commands_options_and_values():
    assert complete(["wo"]) == ["workers"]
    assert "--language" in complete(["stt", "--"])
    assert "succeeded" in complete(["jobs", "--status", ""])


@pytest.mark.slow
def test_the_shell_completes_what_the_server_knows(run, registry, monkeypatch):
    registry.publish("voices", {"demo": {"speakers": ["F7", "M1"], "sample_rate": 16000}})
    [waiting] = objects(run("tts", "wait", "--no-wait"))
    [canceled] = objects(run("cancel", objects(run("tts", "wait", "--no-wait"))[0]["id"]))
    assert complete(["cancel", ""]) == [waiting["id"]]
    assert complete(["retry", canceled["id"][:4]]) == [canceled["id"]]
    assert complete(["fetch", waiting["id"], ""]) == [], "no ID twice, and none that has no files"
    assert set(complete(["show", ""])) == {waiting["id"], canceled["id"]}
    assert complete(["tts", "--voice", "demo/"]) == ["demo/F7", "demo/M1"]
    monkeypatch.setenv("VOXQUEUE_URL", f"http://127.0.0.1:{free_port()}")
    assert complete(["cancel", ""]) == []


@pytest.mark.slow
def test_interrupted_it_says_what_goes_on_with_a_code_of_its_own(run, redis):
    program = "from app.cli import main; main(prog_name='voxqueue')"
    command = [sys.executable, "-c", program, "--quiet", "tts", "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        end = time.monotonic() + PATIENCE
        while not redis.keys("vq:job:*"):
            assert time.monotonic() < end
            time.sleep(0.02)
        waiting.send_signal(signal.SIGINT)
        out, said = waiting.communicate(timeout=PATIENCE)
    assert (waiting.returncode, out) == (130, "")
    assert "voxqueue watch" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell):
    assert f"{shell}_complete" in CliRunner().invoke(main, ["completion", shell]).stdout


@pytest.mark.slow
def test_the_key_may_stand_in_the_configuration_and_the_environment_goes_before_it(run, server, tmp_path, monkeypatch):
    from app.cli.context import config_defaults

    folder = tmp_path / "config" / "voxqueue"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'server = "http://127.0.0.1:{free_port()}"\nkey = "vq_secret"\n')
    assert config_defaults()["key"] == "vq_secret"
    assert run("jobs").exit_code == 0, "VOXQUEUE_URL names the server that is there"
    monkeypatch.delenv("VOXQUEUE_URL")
    assert run("jobs").exit_code == 3


# --- the doctor, check by check


def found(check, **settings):
    return {finding.what: finding for finding in check(Settings(**settings))}


def test_the_doctor_praises_a_server_that_keeps_jobs(own_valkey):
    seen = found(redis, redis_url=own_valkey.url)
    assert {finding.state for finding in seen.values()} == {"good"}
    assert set(seen) == {"Redis", "Redis keeps jobs", "Redis memory"}


def test_the_doctor_finds_a_server_that_throws_keys_away(own_valkey):
    client = connect(own_valkey.url)
    client.config_set("maxmemory", "100mb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("appendonly", "no")
    seen = found(redis, redis_url=own_valkey.url)
    assert (seen["Redis memory"].state, seen["Redis keeps jobs"].state) == ("bad", "bad")
    assert "noeviction" in seen["Redis memory"].cure
    assert "appendonly" in seen["Redis keeps jobs"].cure
    client.close()


def test_the_doctor_tells_what_to_do_without_a_server_and_hides_the_password():
    seen = found(redis, redis_url=f"redis://:secret@127.0.0.1:{free_port()}/0")["Redis"]
    assert seen.state == "note"
    assert "voxqueue up" in seen.cure
    assert "secret" not in seen.detail


def test_the_doctor_looks_at_python_libraries_and_ffmpeg():
    assert found(python)["Python"].state == "good"
    assert "celery" in found(libraries)["Libraries"].detail
    codecs = found(ffmpeg)["FFmpeg libraries"]
    assert codecs.state == "good", codecs


@pytest.mark.slow
def test_the_doctor_is_strict_about_the_gpu_where_the_settings_are():
    pytest.importorskip("torch")
    import shutil

    if shutil.which("nvidia-smi"):
        pytest.skip("there is a GPU here: what the doctor says without one is not tested")
    assert found(gpu)["GPU"].state == "note"
    strict = found(gpu, device="cuda")["GPU"]
    assert strict.state == "bad"
    assert "install-gpu" in strict.cure


@pytest.mark.parametrize(
    ("distribution", "detail"), [("tensorrt_cu13", "10.16.1.11"), (None, "installed")], ids=["as pinned", "by hand"]
)
def test_the_doctor_knows_tensorrt_by_its_module(monkeypatch, tmp_path, distribution, detail):
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.py").touch()
    if distribution:
        facts = tmp_path / f"{distribution}-{detail}.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {detail}\n")
        (facts / "top_level.txt").write_text("tensorrt\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("app.cli.doctor.CUDA_PROBE", "print(1, 1, 'NVIDIA A10', sep='|')")
    assert found(gpu, vocoder="tensorrt") == {
        "GPU": Finding("good", "GPU", "NVIDIA A10"),
        "TensorRT": Finding("good", "TensorRT", detail),
    }


def test_the_doctor_looks_for_models_disk_and_ports(tmp_path):
    seen = found(models, tts_voice=str(tmp_path), stt_model="large-v3-turbo")
    assert seen["Voice"] == Finding("good", "Voice", str(tmp_path))
    assert "from a hub" in seen["Recogniser"].detail
    assert "small domain" in found(models)["Voice"].detail
    assert str(tmp_path) in found(disk, data_dir=tmp_path / "data")["Disk"].detail
    with socket.create_server(("127.0.0.1", 0)) as taken:
        seen = found(ports, port=taken.getsockname()[1], flower_port=free_port())
    assert (seen["Port of web"].state, seen["Port of Flower"].state) == ("note", "good")
    assert seen["Port of web"].cure
