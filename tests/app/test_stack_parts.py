"""The parts of the stack that need no processes: Procfile, slots, ports, settings, Flower's command, logs."""

import io
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.stack import StackError, environment, flower, ports, procfile, programs
from app.stack.logs import LogTail
from jobs.settings import Settings
from workers.slots import parse_slots

COMMANDS = {"web": "exec w", "worker_tts": "exec t", "worker_stt": "exec s", "worker_cpu": "exec c"}


# --- Procfile


def test_procfile_gives_commands_in_order_and_skips_comments(tmp_path):
    path = tmp_path / "Procfile"
    path.write_text("# what runs\n\nweb: exec a --bind 'x: y'\nworker_tts:exec b\n")
    assert list(procfile.read(path).items()) == [("web", "exec a --bind 'x: y'"), ("worker_tts", "exec b")]


@pytest.mark.parametrize("line", ["no colon", "web:", "we b: x", "web: a\nweb: b"])
def test_a_bad_line_is_named_with_its_number(tmp_path, line):
    path = tmp_path / "Procfile"
    path.write_text(f"first: exec a\n{line}\n")
    with pytest.raises(StackError, match=r"Procfile, line [23]: "):
        procfile.read(path)


def test_a_missing_procfile_says_where_to_run(tmp_path):
    with pytest.raises(StackError, match="run from a checkout"):
        procfile.read(tmp_path / "Procfile")


# --- slots


def test_one_process_per_slot_each_knowing_its_slot():
    planned = programs.plan(COMMANDS, "tts@0, tts@1,stt@1,cpu")
    found = [(p.name, p.command, p.env.get("VOXQUEUE_WORKER_SLOT")) for p in planned]
    assert found == [
        ("web", "exec w", None),
        ("worker_tts_0", "exec t", "0"),
        ("worker_tts_1", "exec t", "1"),
        ("worker_stt", "exec s", "2"),
        ("worker_cpu", "exec c", "3"),
    ]


def test_every_process_has_a_name_of_its_own():
    planned = programs.plan(COMMANDS, "tts,stt@0:0.5,tts,stt@0:.25,stt@1")
    found = {p.name: p.env["VOXQUEUE_WORKER_SLOT"] for p in planned if p.name != "web"}
    assert found == {
        "worker_tts": "0",
        "worker_tts_no2": "2",
        "worker_stt_0": "1",
        "worker_stt_0_no2": "3",
        "worker_stt_1": "4",
    }


@given(st.lists(st.from_regex(r"\A ?(tts|stt|cpu|x)?(@(cpu|\d{1,4}|y)?)?(:\d?\.?\d?)?\Z"), min_size=1, max_size=3))
def test_the_stack_reads_whatever_slots_the_workers_read(texts):
    text = ",".join(texts)
    try:
        understood = parse_slots(text, device="cpu")
    except ValueError:
        return
    planned = [p for p in programs.plan(COMMANDS, text) if p.name != "web"]
    assert {int(p.env["VOXQUEUE_WORKER_SLOT"]): p.name.split("_")[1] for p in planned} == {
        place: slot.kind for place, slot in enumerate(understood)
    }


def test_a_kind_without_a_slot_does_not_run_here():
    assert [program.name for program in programs.plan(COMMANDS, "stt")] == ["web", "worker_stt"]


@pytest.mark.parametrize(
    ("slots", "complaint"),
    [("tts@", "cannot read 'tts@'"), ("tts@gpu", "cannot read"), ("ocr", "'ocr'; there are tts, stt, cpu")],
)
def test_bad_slots_are_refused_with_a_reason(slots, complaint):
    with pytest.raises(StackError, match=complaint):
        programs.plan(COMMANDS, slots)


def test_workers_find_the_cuda_12_libraries_that_pip_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(programs.sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/theirs")
    assert programs.cuda_libraries() == {}
    (tmp_path / "nvidia" / "cublas" / "lib").mkdir(parents=True)
    assert programs.cuda_libraries() == {"LD_LIBRARY_PATH": f"{tmp_path}/nvidia/cublas/lib:/theirs"}
    monkeypatch.delenv("LD_LIBRARY_PATH")
    assert programs.cuda_libraries() == {"LD_LIBRARY_PATH": f"{tmp_path}/nvidia/cublas/lib"}


# --- addresses and settings


def test_free_ports_differ_and_can_be_listened_on():
    found = ports.free("127.0.0.1", 5)
    assert len(set(found)) == 5
    assert all(ports.is_free("127.0.0.1", port) for port in found)


def test_a_taken_port_is_refused_with_a_cure():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} .* is taken: .*PORT={port + 1}"):
            environment.choose_addresses({}, port=port, flower_port=0)


def test_flower_moves_on_if_nobody_asked_for_the_taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        # The setting stands for the default here: it is not in the environment that was asked with.
        with pytest.raises(StackError, match="VOXQUEUE_FLOWER_PORT"):
            environment.choose_addresses({"VOXQUEUE_FLOWER_PORT": str(port)}, port=0, flower_port=None)
        with pytest.raises(StackError, match="VOXQUEUE_FLOWER_PORT"):
            environment.choose_addresses({}, port=0, flower_port=port)


def test_an_embedded_server_unless_another_is_named():
    embedded = environment.choose_addresses({}, port=0, flower_port=0)
    assert embedded.redis == f"redis://127.0.0.1:{embedded.valkey_port}/0"
    other = environment.choose_addresses({"VOXQUEUE_REDIS_URL": "redis://r:1/2"}, port=0, flower_port=0)
    assert (other.redis, other.valkey_port) == ("redis://r:1/2", None)


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
def test_the_url_is_one_that_this_machine_reaches(host, url):
    chosen = environment.choose_addresses({"VOXQUEUE_HOST": host}, port=0, flower_port=0)
    assert chosen.web.startswith(url)


def test_a_bad_setting_is_named_as_the_variable_it_came_from():
    with pytest.raises(StackError, match="VOXQUEUE_DRAIN_SECONDS=soon: "):
        environment.settings_of({"VOXQUEUE_DRAIN_SECONDS": "soon"})


def test_settings_are_those_of_the_environment_that_is_given_and_no_other(monkeypatch):
    monkeypatch.setenv("VOXQUEUE_SLOTS", "tts")
    monkeypatch.setenv("VOXQUEUE_LOG_LEVEL", "ERROR")
    given = environment.without_settings(
        {"VOXQUEUE_SLOTS": "stt", "VOXQUEUE_DEVICE": "cpu", "HOME": "/h"}, keep={"VOXQUEUE_DEVICE"}
    )
    assert given == {"VOXQUEUE_DEVICE": "cpu", "HOME": "/h"}
    settings = environment.settings_of(given)
    assert (settings.slots, settings.device, settings.log_level) == ("tts,stt,cpu", "cpu", "INFO")


# --- Flower


def flower_options(**settings):
    words, variables = flower.command(Settings(**settings))
    return dict(word.split("=", 1) for word in words if "=" in word), variables, words


def test_flower_without_a_password_stays_on_loopback():
    options, variables, _ = flower_options(host="0.0.0.0")
    assert options["--address"] == "127.0.0.1"
    assert variables == {}


def test_flower_with_a_password_follows_the_host_and_hides_the_password_from_ps():
    options, variables, words = flower_options(host="0.0.0.0", flower_basic_auth="eva:secret")
    assert options["--address"] == "0.0.0.0"
    assert variables == {"FLOWER_BASIC_AUTH": "eva:secret"}
    assert "secret" not in " ".join(words)


def test_flower_keeps_its_history_in_the_data_directory(tmp_path):
    options, _, _ = flower_options(data_dir=tmp_path)
    assert options["--persistent"] == "True"
    assert options["--db"] == str(tmp_path / "flower")


# --- logs


def test_logs_of_all_processes_come_in_one_stream_with_names_and_across_rotation(tmp_path):
    web, worker = tmp_path / "web.log", tmp_path / "worker_tts.log"
    web.write_text("of an earlier run\n")
    out = io.StringIO()
    tail = LogTail(tmp_path, ["web", "worker_tts"], out)
    tail.start()
    with web.open("a") as file:
        file.write("one\ntw")
        file.flush()
        worker.write_text("你好\n")
        file.write("o\n")
    web.rename(tmp_path / "web.log.1")
    web.write_text("three\n")
    tail.close()
    assert sorted(out.getvalue().splitlines()) == sorted(
        ["web        | one", "web        | two", "web        | three", "worker_tts | 你好"]
    )


def test_in_json_every_line_is_an_object_also_of_programs_that_write_text(tmp_path):
    out = io.StringIO()
    tail = LogTail(tmp_path, ["web", "flower"], out, "json")
    tail.start()
    (tmp_path / "web.log").write_text('{"program": "web", "message": "你好"}\n')
    (tmp_path / "flower.log").write_text("[I] Visit me\n")
    tail.close()
    assert sorted((one["program"], one["message"]) for one in map(json.loads, out.getvalue().splitlines())) == [
        ("flower", "[I] Visit me"),
        ("web", "你好"),
    ]
