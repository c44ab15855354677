"""The Kubernetes example: valid by the published schemas, the Procfile's commands, locked down, with time to drain."""

import itertools
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from app.stack import procfile
from jobs.settings import Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest and the newest that the example is held to."""
LINES = {
    "web": "web",
    "worker-cpu": "worker_cpu",
    "worker-tts": "worker_tts",
    "worker-stt": "worker_stt",
    "flower": "flower",
}
NOT_OF_KUBERNETES = {"Kustomization", "ScaledObject"}


def documents():
    return [
        (path.name, document) for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.open())
    ]


DOCUMENTS = documents()
DEPLOYMENTS = {document["metadata"]["name"]: document for _, document in DOCUMENTS if document["kind"] == "Deployment"}


def of(kind):
    return {document["metadata"]["name"]: document for _, document in DOCUMENTS if document["kind"] == kind}


def container(name):
    [found] = DEPLOYMENTS[name]["spec"]["template"]["spec"]["containers"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document",
    [
        pytest.param(document, id=f"{name}-{document['kind']}-{document['metadata']['name']}")
        for name, document in DOCUMENTS
        if document["kind"] not in NOT_OF_KUBERNETES
    ],
)
def test_a_document_is_valid_by_the_schema_of_kubernetes(document, version):
    kubernetes_validate.validate(document, version, strict=True)


def test_the_schema_would_see_a_misspelt_field():
    document = {**DEPLOYMENTS["web"], "spec": {**DEPLOYMENTS["web"]["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


# --- KEDA: the fields of its ScaledObject (keda.sh/v1alpha1) and of its Prometheus trigger, as its documents have them


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Policy(Strict):
    type: str = Field(pattern="^(Pods|Percent)$")
    value: int = Field(gt=0)
    periodSeconds: int = Field(gt=0, le=1800)


class Rules(Strict):
    stabilizationWindowSeconds: int = Field(ge=0, le=3600)
    policies: list[Policy] = Field(min_length=1)
    selectPolicy: str = "Max"


class Behavior(Strict):
    scaleUp: Rules
    scaleDown: Rules


class Autoscaler(Strict):
    behavior: Behavior


class Advanced(Strict):
    horizontalPodAutoscalerConfig: Autoscaler
    restoreToOriginalReplicaCount: bool = False


class Fallback(Strict):
    failureThreshold: int = Field(gt=0)
    replicas: int = Field(ge=0)


class Target(Strict):
    name: str
    kind: str = "Deployment"
    apiVersion: str = "apps/v1"


class PrometheusMetadata(Strict):
    """All values are strings there."""

    serverAddress: str = Field(pattern="^https?://")
    query: str
    threshold: str = Field(pattern=r"^\d+(\.\d+)?$")
    activationThreshold: str = Field(default="0", pattern=r"^\d+(\.\d+)?$")
    ignoreNullValues: str = Field(default="true", pattern="^(true|false)$")
    authModes: str = ""


class Trigger(Strict):
    type: str = Field(pattern="^prometheus$")
    metricType: str = Field(pattern="^(AverageValue|Value)$")
    metadata: PrometheusMetadata
    name: str = ""


class ScaledObjectSpec(Strict):
    scaleTargetRef: Target
    pollingInterval: int = 30
    cooldownPeriod: int = 300
    idleReplicaCount: int | None = None
    minReplicaCount: int = 0
    maxReplicaCount: int = 100
    fallback: Fallback | None = None
    advanced: Advanced | None = None
    triggers: list[Trigger] = Field(min_length=1)


@pytest.mark.parametrize("name", of("ScaledObject"))
def test_an_autoscaler_is_valid_and_scales_a_deployment_that_exists(name):
    document = of("ScaledObject")[name]
    assert document["apiVersion"] == "keda.sh/v1alpha1"
    spec = ScaledObjectSpec.model_validate(document["spec"])
    assert spec.scaleTargetRef.name in DEPLOYMENTS
    assert "replicas" not in DEPLOYMENTS[name]["spec"], "applying the file again would undo what the autoscaler did"
    assert spec.minReplicaCount < spec.maxReplicaCount


# --- what is ours


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_runs_the_command_of_the_procfile(name):
    found = container(name)
    assert found["command"] == ["/bin/sh", "-c"]
    assert found["args"] == [procfile.read(ROOT / "Procfile")[LINES[name]]]


def test_there_is_a_deployment_for_each_line_of_the_procfile():
    assert {LINES[name] for name in DEPLOYMENTS} == set(procfile.read(ROOT / "Procfile"))


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_is_locked_down(name):
    pod, found = DEPLOYMENTS[name]["spec"]["template"]["spec"], container(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert found["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in found["volumeMounts"]} == {"/data", "/models", "/tmp"}, "what it may write"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_pod_is_probed_and_bounded(name):
    found = container(name)
    assert found["livenessProbe"]
    assert found["resources"]["requests"]["cpu"]
    assert found["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", [name for name in DEPLOYMENTS if name.startswith("worker-")])
def test_a_worker_has_time_to_drain_and_a_budget_for_disruption(name):
    grace = DEPLOYMENTS[name]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > 2 * Settings.model_fields["drain_seconds"].default
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    assert of("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("kind", ["tts", "stt"])
def test_an_engine_has_one_gpu_and_insists_on_it(kind):
    found = container(f"worker-{kind}")
    assert found["resources"]["limits"]["nvidia.com/gpu"] == 1
    given = {each["name"]: each["value"] for each in found["env"]}
    assert given == {"VOXQUEUE_DEVICE": "cuda", "VOXQUEUE_SLOTS": f"{kind}@0"}
    assert f"{kind}-gpu0@$HOSTNAME" in found["livenessProbe"]["exec"]["command"][-1]


def test_services_find_their_pods():
    for name, service in of("Service").items():
        selector = service["spec"]["selector"]
        assert selector.items() <= DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"].items()
        ports = {port["name"] for port in container(name)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_only_settings_that_exist_are_set():
    known = {f"VOXQUEUE_{field.upper()}" for field in Settings.model_fields}
    given = [of("ConfigMap")["voxqueue"]["data"], of("Secret")["voxqueue"]["stringData"]]
    given += [{each["name"]: "" for each in container(name).get("env", [])} for name in DEPLOYMENTS]
    assert set(itertools.chain.from_iterable(given)) <= known


def test_everything_referred_to_is_there():
    claims = set(of("PersistentVolumeClaim"))
    for name in DEPLOYMENTS:
        for volume in DEPLOYMENTS[name]["spec"]["template"]["spec"]["volumes"]:
            assert volume.get("persistentVolumeClaim", {}).get("claimName", next(iter(claims))) in claims
        assert [*container(name)["envFrom"]] == [
            {"configMapRef": {"name": "voxqueue"}},
            {"secretRef": {"name": "voxqueue"}},
        ]
    [kustomization] = [document for _, document in DOCUMENTS if document["kind"] == "Kustomization"]
    listed = set(kustomization["resources"])
    assert listed == {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "secret.example.yaml"}
