"""Images and compose file, read as a linter would: what is pinned, who runs it, what is published."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))


def instructions(path):
    """Return the instructions of a Dockerfile with their arguments, continued lines joined, comments left out."""
    text = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.startswith("#"))
    return [tuple(line.split(maxsplit=1)) for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]


def arguments(path, wanted):
    return [rest for name, rest in instructions(path) if name == wanted]


@pytest.fixture(scope="module")
def services():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
class TestDockerfile:
    def test_its_base_is_a_release(self, path):
        for image in (line.split()[0] for line in arguments(path, "FROM")):
            assert re.fullmatch(r"[\w./-]+:\d[\w.-]+", image), image

    def test_nothing_is_fetched_past_the_package_managers(self, path):
        assert arguments(path, "ADD") == []
        assert not re.search(r"\b(curl|wget)\b", " ".join(arguments(path, "RUN")))

    def test_apt_leaves_no_lists_behind(self, path):
        for command in arguments(path, "RUN"):
            if "apt-get install" in command:
                assert "--no-install-recommends" in command
                assert "rm -rf /var/lib/apt/lists/*" in command

    def test_compilers_and_caches_stay_in_the_first_stage(self, path):
        words = [name for name, _ in instructions(path)]
        last = words[len(words) - words[::-1].index("FROM") :]
        assert "COPY" in last
        final = instructions(path)[len(words) - words[::-1].index("FROM") :]
        assert not any("apt-get" in rest for name, rest in final if name == "RUN")

    def test_it_runs_as_nobody_special_and_is_watched(self, path):
        [user] = arguments(path, "USER")
        assert user == "10001:10001"
        [health] = arguments(path, "HEALTHCHECK")
        assert "--timeout=" in health
        order = [name for name, _ in instructions(path)]
        assert order.index("USER") > max(number for number, name in enumerate(order) if name == "RUN")

    def test_it_copies_no_secrets_and_only_what_exists(self, path):
        ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        assert ignored[0] == "**", "what is not named does not come in: .env, .git, data"
        assert not [line for line in ignored if line.startswith("!.env")]
        assert not re.search(r"(PASSWORD|SECRET|API_KEYS)=\S", path.read_text("utf-8"))
        for rest in arguments(path, "COPY"):
            *sources, _ = [word for word in shlex.split(rest) if not word.startswith("--")]
            if "--from" not in rest:
                assert all((ROOT / source).exists() for source in sources)


def test_the_gpu_image_has_cuda_13_and_tensorrt_10():
    lines = (ROOT / "requirements-gpu.txt").read_text("utf-8").splitlines()
    wanted = [Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]
    pins = {each.name: str(each.specifier) for each in wanted}
    assert pins["tensorrt-cu13"].startswith("==10."), "torch2trt does not run on TensorRT 11"
    assert pins["nvidia-cublas-cu12"].startswith("==12."), "CTranslate2 opens libcublas.so.12"
    assert re.search(r"^torch==\d", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert "requirements-gpu.txt" in (ROOT / "docker" / "gpu.Dockerfile").read_text("utf-8")


def test_images_of_others_are_releases(services):
    for name, service in services.items():
        if not service["image"].startswith("voxqueue:"):
            assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"]), name


def test_nothing_is_published_beyond_this_machine_unless_one_says_so(services):
    for name, service in services.items():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${VOXQUEUE_PUBLISH:-127.0.0.1}:")), name


def test_no_container_may_do_more_than_the_others(services):
    for name, service in services.items():
        assert not service.get("privileged"), name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not any("docker.sock" in volume for volume in service.get("volumes", [])), name


def test_volumes_and_dependencies_are_declared(services):
    declared = set(yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["volumes"])
    used = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {name for name in used if not name.startswith(".")} == declared
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)


def test_each_profile_is_one_that_the_documents_name(services):
    profiles = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert profiles == {"cpu", "gpu", "monitoring"}
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert all(f"`{profile}`" in text for profile in profiles)
