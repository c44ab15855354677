"""The OpenAPI document, the page made of it, health, catalogues, figures."""

import re
import subprocess
import sys

import pytest

from jobs.broker import QUEUES

VARIABLE = re.compile(r"<(?:path:)?(\w+)>")


@pytest.fixture
def document(client):
    return client.get("/openapi.json").json


def test_every_route_is_documented_and_every_documented_route_exists(app, document):
    routes = {
        (VARIABLE.sub(r"{\1}", rule.rule).replace("{job_id}", "{id}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint != "static" and not rule.endpoint.startswith("pages.")
    }
    documented = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert routes == documented


def references(value):
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_somewhere(document):
    schemas = document["components"]["schemas"]
    found = set(references(document))
    assert found
    assert all(reference.removeprefix("#/components/schemas/") in schemas for reference in found)


def test_every_operation_has_a_name_of_its_own_and_its_errors_are_problems(document):
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and operation["operationId"] != "isReady":
                form = "application/json" if operation["tags"] == ["openai"] else "application/problem+json"
                assert list(answer["content"]) == [form]


def test_path_variables_are_declared(document):
    for path, methods in document["paths"].items():
        for operation in methods.values():
            declared = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert declared == set(re.findall(r"{(\w+)}", path))


def test_limits_are_in_the_document(document):
    fields = document["components"]["schemas"]["TTSSpec"]["properties"]
    assert (fields["speed"]["minimum"], fields["speed"]["maximum"]) == (0.5, 2.0)
    assert document["components"]["schemas"]["TTSSpec"]["additionalProperties"] is False


def test_the_page_names_all_operations_and_loads_nothing_from_elsewhere(client, document):
    page = client.get("/docs").text
    for methods in document["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    for sheet in re.findall(r'href="(/static/[^"]+)"', page):
        assert client.get(sheet).status_code == 200
    assert "<script" not in page


def test_the_page_has_an_anchor_for_every_link_on_it(client):
    page = client.get("/docs").text
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_ready_means_a_live_worker_of_each_kind(client, registry):
    assert client.get("/healthz").json == {"status": "ok"}
    for kind in QUEUES:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert kind in answer.json["missing"]
        registry.publish_worker(f"{kind}@host", {"name": f"{kind}@host", "kind": kind})
    assert client.get("/readyz").json == {
        "status": "ready", "redis": True, "workers": {"tts": 1, "stt": 1, "cpu": 1}, "missing": [], "held": [],
    }  # fmt: skip


def test_voices_and_workers_are_what_workers_published(client, registry):
    registry.publish("voices", {"demo": {"speakers": ["F7"], "emotions": ["neutral"], "sample_rate": 16000}})
    registry.publish_worker("tts@host", {"name": "tts@host", "kind": "tts", "mean_batch_rows": 4.5})
    assert client.get("/v1/voices").json["data"] == [
        {"name": "demo", "speakers": ["F7"], "emotions": ["neutral"], "sample_rate": 16000}
    ]
    assert client.get("/v1/workers").json["data"][0]["mean_batch_rows"] == 4.5
    registry.withdraw_worker("tts@host")
    assert client.get("/v1/workers").json["data"] == []
    assert client.get("/v1/voices").json["data"], "voices outlive their workers"


def test_the_application_starts_without_the_rooms_of_the_workers(settings_of):
    """torch alone would take seconds to import, and a thin front end needs none of it."""
    program = (
        "import sys; from app import create_app; create_app();"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'torch','numpy','ctranslate2','speech','workers'}))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
