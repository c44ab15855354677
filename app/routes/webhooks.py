"""The calls of a job's webhook: what was sent and what came of it, and sending it again."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from app.access import for_admins
from app.routes.jobs import own_job
from app.services import services
from jobs.webhooks import Webhooks

blueprint = Blueprint("webhooks", __name__)


def _webhooks() -> Webhooks:
    found = services()
    return Webhooks(found.ledger, found.settings)


@blueprint.get("/v1/jobs/<job_id>/webhook")
def calls(job_id: str) -> Response:
    """Return the address and the calls that were made."""
    job = own_job(job_id)
    return jsonify({"url": job.webhook or None, "calls": _webhooks().calls(job.id)})


@blueprint.post("/v1/jobs/<job_id>/webhook")
def call_again(job_id: str) -> tuple[Response, int]:
    """Call the webhook once more, within seconds."""
    job = own_job(job_id)
    _webhooks().call_again(job.id)
    return jsonify({"url": job.webhook, "calls": _webhooks().calls(job.id)}), 202


@blueprint.get("/v1/webhook-secret")
def secret() -> Response:
    """Return the secret that webhooks are signed with."""
    for_admins()
    return jsonify({"secret": _webhooks().secret()})
