"""`GET /v1/voices` and `/v1/workers`: what workers say about themselves."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from app.services import services

blueprint = Blueprint("catalogue", __name__)


@blueprint.get("/v1/voices")
def voices() -> Response:
    """List the voices, also of workers that are not there at the moment."""
    entries = services().catalogues.entries("voices", fresh=True)
    return jsonify({"data": [{"name": name, **entry} for name, entry in entries.items()]})


@blueprint.get("/v1/workers")
def workers() -> Response:
    """List the live workers."""
    return jsonify({"data": services().registry.workers()})
