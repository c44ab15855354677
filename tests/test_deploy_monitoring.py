"""The board and the alerts: every figure they name is one that the application exports, and the alerts go off."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import create_app
from jobs.registry import Registry
from jobs.settings import Settings

ROOT = Path(__file__).parents[1]
BOARD = ROOT / "deploy" / "grafana" / "dashboards" / "voxqueue.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
NAME = re.compile(r"\bvoxqueue_\w+")
LABELLED = re.compile(r"\b(?P<name>voxqueue_\w+)\{(?P<labels>[^}]*)\}")
PROMTOOL = shutil.which("promtool")


def expressions():
    """Return every PromQL expression of the board, the alerts and the autoscaler, with where it stands."""
    board = json.loads(BOARD.read_text("utf-8"))
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", [])]
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        found += [(rule["alert"], rule["expr"]) for rule in group["rules"]]
    return found


def full_report(name, kind):
    """Return a worker's report with every figure that a worker tells, so that all families have a sample."""
    from app import metrics

    counted = {each: 1 for table in vars(metrics).values() if isinstance(table, dict) for each in table}
    own = {"name": name, "kind": kind, "device": "cuda:0", "device_name": "GPU", "engine": "torch", "model": "demo"}
    return {**{each: 1 for each in counted if isinstance(each, str)}, **own}


@pytest.fixture
def exported(redis_url, redis, tmp_path):
    """Return the names of all samples that /metrics gives, each with the labels it has."""
    for kind in ("tts", "stt", "cpu"):
        Registry(redis).publish_worker(f"{kind}@here", full_report(f"{kind}@here", kind))
    app = create_app(Settings(redis_url=redis_url, data_dir=tmp_path, api_keys=""))
    text = app.test_client().get("/metrics").text
    found = {}
    for family in text_string_to_metric_families(text):
        # A histogram without an observation has no buckets yet, but its name is promised by its type.
        suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ()
        for suffix in suffixes:
            found.setdefault(family.name + suffix, set()).add("le" if suffix == "_bucket" else "")
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_figure_that_is_named_is_exported(exported):
    wrong = {
        f"{where}: {name}"
        for where, expression in expressions()
        for name in NAME.findall(expression)
        if name not in exported
    }
    assert wrong == set()


def test_every_label_that_is_selected_is_there(exported):
    wrong = set()
    for where, expression in expressions():
        for found in LABELLED.finditer(expression):
            labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", found["labels"])
            wrong |= {
                f"{where}: {found['name']}{{{label}}}"
                for label in labels
                if label not in exported.get(found["name"], set())
            }
    assert wrong == set()


def test_the_board_is_one_that_grafana_takes():
    board = json.loads(BOARD.read_text("utf-8"))
    panels = board["panels"]
    assert board["uid"] == "voxqueue"
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "prometheus", "the one that is provisioned"
            assert panel["targets"], panel["title"]
    taken = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(taken)) == len(taken)


def test_what_is_provisioned_is_there():
    [source] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert source["url"] == "http://prometheus:9090"
    mounts = [
        volume.split(":") for name in ("prometheus", "grafana") for volume in compose["services"][name]["volumes"]
    ]
    for host_path, *_ in mounts:
        if host_path.startswith("."):
            assert (ROOT / host_path).exists(), host_path
    [provider] = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/voxqueue.yml").read_text())["providers"]
    assert provider["options"]["path"] in {inside for _, inside, *_ in mounts}


def test_monitoring_can_ask_for_figures_and_nobody_gets_in_by_a_default_password():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    scrape = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"][0]
    key_file = scrape["authorization"]["credentials_file"]
    [start] = compose["services"]["prometheus"]["command"]
    assert f">{key_file}" in start
    assert scrape["static_configs"][0]["targets"] == ["web:8000"]
    [start] = compose["services"]["grafana"]["command"]
    assert '[ -n "$$GF_SECURITY_ADMIN_PASSWORD" ] ||' in start
    assert compose["services"]["prometheus"]["ports"][0].startswith("127.0.0.1:"), "it has no password"
    example = (ROOT / ".env.example").read_text("utf-8")
    for name in ("VOXQUEUE_METRICS_KEY", "VOXQUEUE_GRAFANA_PASSWORD"):
        assert re.search(rf"^{name}=$", example, re.MULTILINE)


def test_every_alert_says_what_it_is_and_how_bad():
    for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket", "info"}, rule["alert"]
            assert rule["annotations"]["summary"], rule["alert"]
            assert rule["annotations"]["description"], rule["alert"]


# --- Prometheus' own word on them


@pytest.fixture
def promtool():
    if PROMTOOL is None:
        pytest.skip("no promtool: THE ALERTS ARE NOT TRIED; apt install prometheus")
    return PROMTOOL


def test_prometheus_understands_the_rules(promtool):
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_understands_its_configuration(promtool, tmp_path):
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8")
    (tmp_path / "key").write_text("key")
    text = text.replace("/tmp/key", str(tmp_path / "key")).replace("/etc/prometheus/rules.yml", str(RULES))
    (tmp_path / "prometheus.yml").write_text(text)
    done = subprocess.run(
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def alert_goes_off(promtool, folder, name, series, *, minutes, labels):
    """Tell whether an alert fires with these labels after some minutes of these series."""
    written = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": key, "values": values} for key, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": [{"exp_labels": labels}]}
                ],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump(written))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    # Summaries are compared, too, and are left out above: what is asked is that there is exactly such an alert.
    return re.search(rf"got:\[\s*0:\s*Labels:\{{alertname=\"{name}\"", done.stderr + done.stdout) is not None


@pytest.mark.parametrize(
    ("name", "broken", "sound"),
    [
        ("VoxqueueRedisAway", {"voxqueue_redis_up": "0x60"}, {"voxqueue_redis_up": "1x60"}),
        ("VoxqueueWebAway", {'up{job="voxqueue"}': "0x60"}, {'up{job="voxqueue"}': "1x60"}),
        (
            "VoxqueueNoWorker",
            {
                'voxqueue_queue_jobs{queue="tts",step="4"}': "5x60",
                'voxqueue_worker_up{worker="a",kind="stt"}': "1x60",
            },
            {
                'voxqueue_queue_jobs{queue="tts",step="4"}': "5x60",
                'voxqueue_worker_up{worker="a",kind="tts"}': "1x60",
            },
        ),
        (
            "VoxqueueStandsStill",
            {
                'voxqueue_worker_jobs_in_hand{worker="a",kind="tts"}': "3x60",
                'voxqueue_worker_units_total{worker="a",kind="tts"}': "7x60",
            },
            {
                'voxqueue_worker_jobs_in_hand{worker="a",kind="tts"}': "3x60",
                'voxqueue_worker_units_total{worker="a",kind="tts"}': "7+9x60",
            },
        ),
        (
            "VoxqueueUnitsFail",
            {
                'voxqueue_worker_units_total{worker="a",kind="tts"}': "0+100x60",
                'voxqueue_worker_failed_units_total{worker="a",kind="tts"}': "0+20x60",
            },
            {
                'voxqueue_worker_units_total{worker="a",kind="tts"}': "0+100x60",
                'voxqueue_worker_failed_units_total{worker="a",kind="tts"}': "0+1x60",
            },
        ),
        (
            "VoxqueueWorkersDie",
            {'voxqueue_worker_recovered_total{worker="a",kind="tts"}': "0+2x60"},
            {'voxqueue_worker_recovered_total{worker="a",kind="tts"}': "2x60"},
        ),
        (
            "VoxqueueEngineOnCpu",
            {
                'voxqueue_worker_up{worker="a",kind="tts",device="cpu"}': "1x60",
                'voxqueue_worker_up{worker="b",kind="stt",device="cuda:0"}': "1x60",
            },
            {'voxqueue_worker_up{worker="a",kind="tts",device="cpu"}': "1x60"},
        ),
    ],
)
def test_an_alert_goes_off_when_it_should_and_only_then(promtool, tmp_path, name, broken, sound):
    assert alert_goes_off(promtool, tmp_path, name, broken, minutes=50, labels={})
    assert not alert_goes_off(promtool, tmp_path, name, sound, minutes=50, labels={})
