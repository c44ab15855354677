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
from app.metrics import FAMILIES, FROM_WORKERS
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
    scaling = (ROOT / "deploy" / "kubernetes" / "autoscaling.yaml").read_text("utf-8")
    for document in yaml.safe_load_all(scaling):
        found += [("autoscaling", trigger["metadata"]["query"]) for trigger in document["spec"]["triggers"]]
    return found


@pytest.fixture
def exported(redis_url, redis, tmp_path):
    """Return the names of all samples that /metrics may give, each with its labels; and see that it gives no others."""
    promised = {}
    for family in FAMILIES:
        suffixes = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        for suffix in suffixes:
            promised[family.full_name + suffix] = {*family.labels, *(["le"] if suffix == "_bucket" else [])}
    for kind in ("tts", "stt", "cpu"):
        report = dict.fromkeys(FROM_WORKERS, 1) | {"name": f"{kind}@here", "kind": kind, "device": "cuda:0"}
        Registry(redis).publish_worker(f"{kind}@here", report)
    app = create_app(Settings(redis_url=redis_url, data_dir=tmp_path, api_keys=""))
    given = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(app.test_client().get("/metrics").text)
        for sample in family.samples
    }
    assert given.items() <= promised.items()
    assert len(given) > len(promised) / 2
    return promised


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


def test_prometheus_understands_every_expression_of_the_board(promtool, tmp_path):
    rules = [{"record": f"expression:{n}", "expr": expression} for n, (_, expression) in enumerate(expressions())]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False)
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "broken", "sound"),
    [
        ("VoxqueueRedisAway", {"voxqueue_redis_up": "0x120"}, {"voxqueue_redis_up": "1x120"}),
        ("VoxqueueWebAway", {'up{job="voxqueue"}': "0x120"}, {'up{job="voxqueue"}': "1x120"}),
        (
            "VoxqueueNoWorker",
            {
                'voxqueue_queue_jobs{queue="tts",step="4"}': "5x120",
                'voxqueue_worker_up{worker="a",kind="stt"}': "1x120",
            },
            {
                'voxqueue_queue_jobs{queue="tts",step="4"}': "5x120",
                'voxqueue_worker_up{worker="a",kind="tts"}': "1x120",
            },
        ),
        (
            "VoxqueueStandsStill",
            {
                'voxqueue_worker_jobs_in_hand{worker="a",kind="tts"}': "3x120",
                'voxqueue_units_total{queue="tts"}': "7x120",
            },
            {
                'voxqueue_worker_jobs_in_hand{worker="a",kind="tts"}': "3x120",
                'voxqueue_units_total{queue="tts"}': "7+9x120",
            },
        ),
        (
            "VoxqueueUnitsFail",
            {
                'voxqueue_units_total{queue="tts"}': "0+100x120",
                'voxqueue_unit_failures_total{queue="tts"}': "0+20x120",
            },
            {
                'voxqueue_units_total{queue="tts"}': "0+100x120",
                'voxqueue_unit_failures_total{queue="tts"}': "0+1x120",
            },
        ),
        (
            "VoxqueueWorkersDie",
            {"voxqueue_recoveries_total": "0+2x120"},
            {"voxqueue_recoveries_total": "2x120"},
        ),
        (
            "VoxqueueBacklog",
            {
                'voxqueue_queue_backlog_seconds{queue="tts"}': "20000x120",
                'voxqueue_worker_up{worker="a",kind="tts"}': "1x120",
            },
            {
                'voxqueue_queue_backlog_seconds{queue="tts"}': "20000x120",
                'voxqueue_worker_up{worker="a",kind="tts"}': "1x120",
                'voxqueue_worker_up{worker="b",kind="tts"}': "1x120",
            },
        ),
        (
            "VoxqueueJobsFail",
            {
                'voxqueue_jobs_ended_total{kind="tts",status="failed"}': "0+5x120",
                'voxqueue_jobs_ended_total{kind="tts",status="succeeded"}': "0+5x120",
            },
            {
                'voxqueue_jobs_ended_total{kind="tts",status="failed"}': "0+1x120",
                'voxqueue_jobs_ended_total{kind="tts",status="succeeded"}': "0+90x120",
            },
        ),
        (
            "VoxqueueThinBatches",
            {
                'voxqueue_units_total{queue="stt"}': "0+10x120",
                'voxqueue_batches_total{queue="stt"}': "0+9x120",
                'voxqueue_queue_jobs{queue="stt",step="4"}': "80x120",
            },
            {
                'voxqueue_units_total{queue="stt"}': "0+10x120",
                'voxqueue_batches_total{queue="stt"}': "0+9x120",
                'voxqueue_queue_jobs{queue="stt",step="4"}': "8x120",
            },
        ),
        (
            "VoxqueueEngineOnCpu",
            {
                'voxqueue_worker_up{worker="a",kind="tts",device="cpu"}': "1x120",
                'voxqueue_worker_up{worker="b",kind="stt",device="cuda:0"}': "1x120",
            },
            {'voxqueue_worker_up{worker="a",kind="tts",device="cpu"}': "1x120"},
        ),
    ],
)
def test_an_alert_goes_off_when_it_should_and_only_then(promtool, tmp_path, name, broken, sound):
    assert alert_goes_off(promtool, tmp_path, name, broken, minutes=100, labels={})
    assert not alert_goes_off(promtool, tmp_path, name, sound, minutes=100, labels={})
