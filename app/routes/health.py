"""`/healthz`, `/readyz` and `/metrics`: for supervisors, balancers and Prometheus."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from redis import RedisError

from app.access import for_admins, open_to_all
from app.metrics import LedgerCollector
from app.services import services
from jobs.broker import QUEUES

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@open_to_all
def alive() -> Response:
    """Say that this process answers."""
    return jsonify({"status": "ok"})


@blueprint.get("/readyz")
@open_to_all
def ready() -> tuple[Response, int]:
    """Say whether jobs get done: Redis answers, and each kind has a live worker."""
    try:
        services().redis.ping()
        found = Counter(str(worker.get("kind")) for worker in services().registry.workers())
        held = sorted(what for what in services().ledger.held() if not what.startswith("owner:"))
    except RedisError:
        away = {"status": "not ready", "redis": False, "workers": {}, "missing": list(QUEUES), "held": []}
        return jsonify(away), 503
    missing = [kind for kind in QUEUES if not found[kind]]
    body = {
        "status": "not ready" if missing else "ready",
        "redis": True,
        "workers": {kind: found[kind] for kind in QUEUES},
        "missing": missing,
        "held": held,  # a paused queue is as ready as its operator wants it
    }
    return jsonify(body), 503 if missing else 200


@blueprint.get("/metrics")
def metrics() -> Response:
    """Give the figures of the whole stack, for Prometheus."""
    for_admins()
    registry = CollectorRegistry()
    registry.register(LedgerCollector(services().registry, services().redis))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
