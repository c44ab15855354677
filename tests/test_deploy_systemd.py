"""The systemd units: the Procfile's commands, with time to drain, and nothing that systemd would not understand."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.stack import procfile
from jobs.settings import Settings

ROOT = Path(__file__).parents[1]
UNITS = ROOT / "deploy" / "systemd"
SERVICES = {
    "voxqueue-web.service": "web",
    "voxqueue-tts@.service": "worker_tts",
    "voxqueue-stt@.service": "worker_stt",
    "voxqueue-cpu.service": "worker_cpu",
    "voxqueue-flower.service": "flower",
}
WORKERS = [name for name, line in SERVICES.items() if line.startswith("worker_")]
INSTALLED = "/opt/voxqueue"


def entries(name):
    """Return what a unit sets, each name with all its values; comments are no values."""
    found = {}
    for line in (UNITS / name).read_text("utf-8").splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def variables(name):
    words = " ".join(entries(name)["Environment"]).split()
    return dict(word.partition("=")[::2] for word in words)


def parts(command):
    """Return the variables and the words of a line of the Procfile."""
    words = shlex.split(command.removeprefix("exec "))
    if words[0] != "env":
        return {}, words
    count = next(number for number, word in enumerate(words[1:]) if not re.match(r"[A-Z_]+=", word))
    return dict(word.partition("=")[::2] for word in words[1 : count + 1]), words[count + 1 :]


def test_there_is_a_unit_for_each_line_of_the_procfile():
    assert {path.name for path in UNITS.glob("*.service")} == set(SERVICES)
    assert set(SERVICES.values()) == set(procfile.read(ROOT / "Procfile"))


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_runs_the_command_of_the_procfile(name):
    wanted_variables, wanted = parts(procfile.read(ROOT / "Procfile")[SERVICES[name]])
    [line] = entries(name)["ExecStart"]
    words = shlex.split(line)
    assert words[0] == f"{INSTALLED}/.venv/bin/{wanted[0]}"
    # The level has its default in the unit, since systemd knows no `:-`.
    assert words[1:] == [word.replace(":-INFO", "") for word in wanted[1:]]
    assert wanted_variables.items() <= variables(name).items()


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_sets_only_settings_that_exist(name):
    known = {f"VOXQUEUE_{field.upper()}" for field in Settings.model_fields} | {
        "VOXQUEUE_HOME",
        "VOXQUEUE_WORKER_KIND",
    }
    assert {each for each in variables(name) if each.startswith("VOXQUEUE_")} <= known


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_more_time_to_stop_than_its_drain_takes(name):
    [seconds] = entries(name)["TimeoutStopSec"]
    assert int(seconds) > Settings.model_fields["drain_seconds"].default
    assert entries(name)["KillMode"] == ["mixed"], "SIGTERM is for the worker; its engine builder must not die first"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_started_again_and_locked_down(name):
    found = entries(name)
    assert found["Restart"] == ["always"]
    assert found["StartLimitIntervalSec"] == ["0"], "systemd would give up after five starts"
    assert found["User"] == ["voxqueue"]
    assert found["NoNewPrivileges"] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]


def test_a_gpu_worker_is_strict_and_named_by_its_gpu():
    for kind in ("tts", "stt"):
        found = variables(f"voxqueue-{kind}@.service")
        assert found["VOXQUEUE_DEVICE"] == "cuda"
        assert found["VOXQUEUE_SLOTS"] == f"{kind}@%i"
        assert "PrivateDevices" not in entries(f"voxqueue-{kind}@.service"), "it would hide the GPU"


def test_systemd_understands_the_units(tmp_path):
    systemd = shutil.which("systemd-analyze")
    if systemd is None:
        pytest.skip("no systemd-analyze: THE UNITS ARE NOT VERIFIED; apt install systemd")
    binaries = Path(sys.executable).parent
    for path in UNITS.iterdir():
        text = path.read_text("utf-8").replace(f"{INSTALLED}/.venv/bin/", f"{binaries}/")
        (tmp_path / path.name).write_text(text.replace(INSTALLED, str(ROOT)), "utf-8")
    units = [
        f"./{path.name.replace('@.', '@0.')}" for path in UNITS.iterdir() if path.suffix in {".service", ".target"}
    ]
    done = subprocess.run(
        [systemd, "verify", "--man=no", *units], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    own = [line for line in done.stderr.splitlines() if "voxqueue" in line]
    assert own == []
    assert done.returncode == 0, done.stderr
