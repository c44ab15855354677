"""`GET /v1/models`: what there is, and the names that OpenAI's clients use for it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from app.openai.aliases import HEARING, SPEAKING, hearing_models, speaking_models
from app.problems import Refusal

blueprint = Blueprint("openai_models", __name__)
OWNER = "voxqueue"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": OWNER}


def _names() -> list[str]:
    return list(dict.fromkeys([*speaking_models(), *hearing_models(), *SPEAKING, *HEARING]))


@blueprint.get("/v1/models")
def list_models() -> Response:
    """List models, voices and aliases."""
    return jsonify({"object": "list", "data": [_model(name) for name in _names()]})


@blueprint.get("/v1/models/<path:name>")
def show_model(name: str) -> Response:
    """Show a model."""
    if name not in _names():
        raise Refusal.of_field("model", f"there is no model {name[:100]!r}", status=404, code="model_not_found")
    return jsonify(_model(name))
