"""What `docker-compose.yml` and the images allow a process that was taken over to do: as little as can be."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
LOOPBACK = ("${VOXQUEUE_PUBLISH:-127.0.0.1}:", "127.0.0.1:")


@pytest.mark.parametrize("name", SERVICES)
class TestEachContainer:
    def test_is_nobody_special_and_cannot_become_more(self, name):
        service = SERVICES[name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "cap_add" not in service
        assert "privileged" not in service
        assert str(service["user"]).partition(":")[0] not in {"root", "0"}

    def test_writes_only_to_its_volumes_and_to_memory(self, name):
        service = SERVICES[name]
        assert service["read_only"] is True
        for mount in service["volumes"]:
            source, _, target = mount.partition(":")
            assert source in COMPOSE["volumes"] or (source.startswith("./deploy/") and target.endswith(":ro")), mount
        assert all(mount.startswith("/tmp:") for mount in service.get("tmpfs", []))

    def test_shares_nothing_with_the_host(self, name):
        service = SERVICES[name]
        assert not {"network_mode", "pid", "ipc", "devices", "userns_mode"} & set(service)
        for port in service.get("ports", []):
            assert port.startswith(LOOPBACK), "published on loopback unless somebody wants more"

    def test_cannot_use_up_the_hosts_processes(self, name):
        assert 0 < SERVICES[name]["pids_limit"] <= 10_000


def test_no_secret_is_in_the_file_or_on_a_command_line():
    for name, service in SERVICES.items():
        line = " ".join(service["command"])
        assert not re.search(r"(?<!\$)\$\{?\w*(PASSWORD|KEY)", line), f"{name}: put into the line by compose"
        for variable, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|_KEY|AUTH", variable):
                assert str(value).startswith("${"), f"{name}: {variable} comes from outside"
    assert SERVICES["redis"].get("ports") is None


@pytest.mark.parametrize("name", ["cpu.Dockerfile", "gpu.Dockerfile"])
def test_an_image_ends_as_a_user_without_rights_and_holds_no_secret(name):
    text = (ROOT / "docker" / name).read_text("utf-8")
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users[-1:] == ["10001:10001"]
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|API_KEY)", text, re.MULTILINE)
    [everything, *kept] = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert everything == "**", "what is not named does not come into an image"
    assert not {"!.git", "!.git/", "!.env", "!var/", "!tests/"} & set(kept)
