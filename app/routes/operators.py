"""For operators: pause, drain and resume a queue, hold a kind of job or an owner. Needs the role admin."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from flask import Blueprint, Response, jsonify
from pydantic import Field

from app.access import for_admins
from app.bodies import json_body, validate
from app.services import services
from jobs.broker import QUEUES
from jobs.holds import overview
from jobs.specs import Strict

blueprint = Blueprint("operators", __name__)
LONGEST_BODY = 300


class Held(Strict):
    """What is held: jobs of it wait, running ones go on."""

    what: Annotated[str, Field(pattern=r"^(queue:(tts|stt|cpu)|kind:[a-z]+|owner:[^\s:]{1,100})$")]
    """`queue:NAME`, `kind:NAME` or `owner:NAME`."""


class Hold(Held):
    """What to hold, and how."""

    drain: bool = False
    """Whether running jobs are given back at their next unit, too; they go on from there when it is resumed."""


@blueprint.get("/v1/holds")
def list_holds() -> Response:
    """Say what is held, what waits because of it, and what waits and runs in each queue."""
    for_admins()
    found = services()
    waiting = {queue: sum(found.queries.waiting(queue).values()) for queue in QUEUES}
    seen = asdict(overview(found.redis))
    return jsonify(seen | {"waiting": waiting, "running": dict.fromkeys(QUEUES, 0) | seen["running"]})


@blueprint.post("/v1/holds")
def hold() -> Response:
    """Hold something, or drain it."""
    for_admins()
    spec: Hold = validate(Hold, json_body(LONGEST_BODY))
    services().ledger.hold(spec.what, drain=spec.drain)
    return list_holds()


@blueprint.delete("/v1/holds")
def resume() -> Response:
    """Hold it no more; a sweeper sends what was put aside within seconds."""
    for_admins()
    spec: Held = validate(Held, json_body(LONGEST_BODY))
    services().ledger.free(spec.what)
    return list_holds()
