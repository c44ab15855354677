"""For operators: hold and resume a queue, a kind of job or an owner. Needs the role admin."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from app.access import for_admins
from app.bodies import json_body, validate
from app.services import services
from jobs.broker import QUEUES
from jobs.specs import Strict

blueprint = Blueprint("operators", __name__)
LONGEST_NAME = 200


class Hold(Strict):
    """What is held: jobs of it wait, running ones go on."""

    what: Annotated[str, Field(pattern=r"^(queue:(tts|stt|cpu)|kind:[a-z]+|owner:[^\s:]{1,100})$")]
    """`queue:NAME`, `kind:NAME` or `owner:NAME`."""


@blueprint.get("/v1/holds")
def list_holds() -> Response:
    """Say what is held, and how many jobs wait in each queue."""
    for_admins()
    found = services()
    waiting = {queue: sum(found.queries.waiting(queue).values()) for queue in QUEUES}
    return jsonify({"held": sorted(found.ledger.held()), "waiting": waiting})


@blueprint.post("/v1/holds")
def hold() -> Response:
    """Hold something."""
    for_admins()
    services().ledger.hold(_wanted(), on=True)
    return list_holds()


@blueprint.delete("/v1/holds")
def resume() -> Response:
    """Hold it no more; a sweeper sends what was put aside within seconds."""
    for_admins()
    services().ledger.hold(_wanted(), on=False)
    return list_holds()


def _wanted() -> str:
    spec: Hold = validate(Hold, json_body(LONGEST_NAME))
    return spec.what
