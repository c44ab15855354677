"""The shape of the repository: who may import whom, one list of processes, commands that exist."""

import ast
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.stack import procfile
from jobs.settings import table

ROOT = Path(__file__).parents[1]
ROOMS = ("app", "jobs", "workers", "speech")
MAY_IMPORT = {"app": {"jobs"}, "jobs": set(), "workers": {"jobs", "speech"}, "speech": set()}
HEAVY = {"torch", "ctranslate2", "faster_whisper", "modelscope", "tensorrt", "torch2trt", "onnxruntime", "av"}
NOT_FOR_SPEECH = {"celery", "kombu", "redis", "flask", "flower", "gunicorn"}


def modules(room):
    return sorted((ROOT / room).rglob("*.py"))


def imported(path):
    """Return the top-level packages that a module imports anywhere in it, late imports and strings included."""
    package = path.relative_to(ROOT).parts[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"), path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(package if node.level else (node.module or "").partition(".")[0])
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, (ast.Name, ast.Attribute))
            and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr) in {"import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value).partition(".")[0])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_it_may(room):
    assert modules(room), f"{room}/ is empty"
    allowed = MAY_IMPORT[room] | {room}
    wrong = {
        str(path.relative_to(ROOT)): sorted(foreign)
        for path in modules(room)
        if (foreign := imported(path) & {*ROOMS, "tests", "bench"} - allowed)
    }
    assert wrong == {}


@pytest.mark.parametrize(("room", "kept_out"), [("app", HEAVY), ("jobs", HEAVY), ("speech", NOT_FOR_SPEECH)])
def test_a_room_keeps_out_what_is_not_its_own_affair(room, kept_out):
    wrong = {
        str(path.relative_to(ROOT)): sorted(foreign) for path in modules(room) if (foreign := imported(path) & kept_out)
    }
    assert wrong == {}


def test_the_import_check_sees_late_relative_and_dynamic_imports(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    module = tmp_path / "app" / "module.py"
    module.parent.mkdir()
    module.write_text(
        "import a.b as c\nfrom . import x\ndef f():\n    from d.e import g\n    importlib.import_module('h.i')\n"
    )
    assert imported(module) == {"a", "app", "d", "h"}


def test_modules_stay_short():
    long = {
        str(path.relative_to(ROOT)): lines
        for room in ROOMS
        for path in modules(room)
        if (lines := len(path.read_text("utf-8").splitlines())) > 400
    }
    assert long == {}


# --- one list of processes


@pytest.fixture(scope="module")
def commands():
    return procfile.read(ROOT / "Procfile")


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


NOT_OURS = {"redis", "prometheus", "grafana"}


def programs_of(compose):
    """Return the services that run our own code, by name."""
    return {name: service for name, service in compose["services"].items() if name not in NOT_OURS}


def test_the_procfile_names_the_processes_and_each_line_is_replaced_by_its_program(commands):
    assert list(commands) == ["web", "worker_tts", "worker_stt", "worker_cpu", "flower"]
    for command in commands.values():
        assert command.startswith("exec "), "signals would reach a shell"


def test_workers_lines_differ_in_their_kind_alone(commands):
    shape = {
        # The kind without an engine needs no advice about the memory of one.
        re.sub(r"MALLOC_\w+=\S+ ", "", commands[f"worker_{kind}"]).replace(f"KIND={kind} ", "KIND=? ")
        for kind in ("tts", "stt", "cpu")
    }
    assert len(shape) == 1
    words = shlex.split(shape.pop())
    assert "celery" in words
    assert "worker" in words
    assert "--pool=threads" in words


def test_compose_runs_the_commands_of_the_procfile(commands, compose):
    found = set()
    for name, service in programs_of(compose).items():
        assert service["entrypoint"] == ["/bin/sh", "-c"], name
        [command] = service["command"]
        line = name.replace("-", "_").removesuffix("_on_cpu")
        assert command.replace("$$", "$") == commands[line], name
        found.add(line)
    assert found == set(commands)


@pytest.mark.parametrize("profile", ["gpu", "cpu"])
def test_every_profile_has_each_process_once(commands, compose, profile):
    chosen = {profile, "monitoring"}
    names = [
        name.replace("-", "_").removesuffix("_on_cpu")
        for name, service in programs_of(compose).items()
        if chosen & set(service.get("profiles", chosen))
    ]
    assert sorted(names) == sorted(commands)


def test_redis_keeps_an_append_only_file_behind_a_password(compose):
    service = compose["services"]["redis"]
    assert service["image"].startswith("redis:7")
    [command] = service["command"]
    assert "--appendonly yes" in command
    assert "requirepass" in command
    assert ":?" in service["environment"]["REDISCLI_AUTH"], "an empty password must not start"
    assert "redis:/data" in service["volumes"]
    assert "ports" not in service


def test_containers_are_locked_down_and_watched(compose):
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["user"] not in {"root", "0"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name


def test_only_gpu_workers_reserve_gpus_and_they_are_strict(compose):
    for name, service in programs_of(compose).items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(devices) == (service.get("profiles") == ["gpu"]), name
        if devices:
            assert devices[0]["capabilities"] == ["gpu"]
            assert service["environment"]["VOXQUEUE_DEVICE"] == "cuda"


def test_compose_gives_a_worker_more_time_than_its_drain_takes(compose):
    from jobs.settings import Settings

    for name, service in programs_of(compose).items():
        grace = int(service["stop_grace_period"].removesuffix("s"))
        assert grace > Settings.model_fields["drain_seconds"].default, name


def test_compose_sets_only_variables_that_exist(compose):
    from jobs.settings import Settings

    known = {f"VOXQUEUE_{name.upper()}" for name in Settings.model_fields}
    own = {"VOXQUEUE_WORKER_SLOT"}
    for name, service in programs_of(compose).items():
        assert set(service["environment"]) <= known | own, name


def test_every_variable_that_compose_wants_is_in_the_example_of_env():
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    example = (ROOT / ".env.example").read_text("utf-8")
    wanted = set(re.findall(r"(?<!\$)\$\{(VOXQUEUE_\w+):\?", text))
    assert wanted
    for name in wanted:
        assert re.search(rf"^{name}=", example, re.MULTILINE), name


@pytest.mark.parametrize("dockerfile", ["cpu.Dockerfile", "gpu.Dockerfile"])
def test_images_run_as_nobody_special_and_start_with_a_command_of_the_procfile(dockerfile, commands):
    text = (ROOT / "docker" / dockerfile).read_text("utf-8")
    assert "USER 10001:10001" in text
    [default] = re.findall(r'^CMD \["(.*)"\]$', text, re.MULTILINE)
    assert default in commands.values()
    for copied in re.findall(r"^COPY ((?:\S+ )+)/tmp/$", text, re.MULTILINE):
        assert all((ROOT / name).is_file() for name in copied.split())


# --- commands that exist


def targets():
    return set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_the_commands_of_the_house_exist():
    assert {"install", "check", "test", "run", "demo", "bench"} <= targets()


def test_every_make_command_that_a_text_names_exists():
    texts = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    wrong = {
        f"{path.relative_to(ROOT)}: make {name}"
        for path in texts
        for name in re.findall(r"(?:`|^\s*(?:\$ )?)make ([a-z][a-z-]*)", path.read_text("utf-8"), re.MULTILINE)
        if name not in targets()
    }
    assert wrong == set()


def test_ci_runs_every_test():
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert re.search(r"\bmake test\b", script)
    assert "set -euo pipefail" in script


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-gpu.txt"])
def test_every_requirement_is_bounded(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text("utf-8").splitlines()]
    loose = [line for line in lines if line and not re.search(r"==|<", line) and not line.startswith("types-")]
    assert loose == []


def test_this_python_is_one_that_we_support():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    [lowest] = re.findall(r'^requires-python = ">=3\.(\d+)"', text, re.MULTILINE)
    assert sys.version_info >= (3, int(lowest))


# --- what is imported is installed by the requirements


# Closed; the original that a benchmark compares with, and what that needs: used if there.
BROUGHT_BY_USERS = {"ttsfrd", "kantts", "scipy"}
NOT_INSTALLED_HERE = {"pynvml": "nvidia-ml-py", "tensorrt": "tensorrt-cu13", "torch2trt": "torch2trt"}


def required(*names):
    """Return the distributions that requirements files ask for, and those that these need in turn."""
    wanted = [
        Requirement(line)
        for name in names
        for line in (re.sub(r"(^|\s)#.*", "", raw) for raw in (ROOT / name).read_text("utf-8").splitlines())
        if line.strip()
    ]
    found = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if (name, *extras) in found:
            continue
        found.add((name, *extras))
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        wanted += [
            need
            for need in map(Requirement, needs)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)
        ]
    return {name for name, *_ in found}


def looked_for(path):
    """Return the names of packages that a module asks `find_spec` for."""
    return set(re.findall(r"find_spec\(\"(\w+)", path.read_text("utf-8")))


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (
            ROOMS,
            ("requirements.txt", "requirements-gpu.txt", "requirements-torch2trt.txt", "requirements-traces.txt"),
        ),
        (
            ("tests", "bench"),
            ("requirements.txt", "requirements-dev.txt", "requirements-gpu.txt", "requirements-docs.txt"),
        ),
    ],
)
def test_what_is_imported_is_required(folders, files):
    distributions = metadata.packages_distributions()
    known = required(*files)
    own = {*sys.stdlib_module_names, *ROOMS, "tests", "bench", "celeryconfig"}
    wrong = {}
    for path in (path for folder in folders for path in modules(folder)):
        for name in (imported(path) | looked_for(path)) - own - BROUGHT_BY_USERS:
            offered = {NOT_INSTALLED_HERE.get(name, name), *distributions.get(name, ())}
            if not {canonicalize_name(each) for each in offered} & known:
                wrong.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert wrong == {}, "imported, but not in a fresh .venv: add it to the requirements"


def test_the_readme_has_the_settings_as_the_code_describes_them():
    text = (ROOT / "README.md").read_text("utf-8")
    shown = text.partition("<!-- settings -->")[2].partition("<!-- /settings -->")[0]
    assert shown.strip() == table(), "paste the output of `python -m jobs.settings` between the marks in README.md"
