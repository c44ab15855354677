"""`/v1/session`: a cookie for the web page, in exchange for a key."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.access import bearer, open_to_all
from app.bodies import is_json, json_body, validate
from app.problems import Refusal
from app.services import services
from app.sessions import COOKIE, SESSION_SECONDS, begin_session, end_session
from jobs.specs import Strict

blueprint = Blueprint("session", __name__)


class SessionSpec(Strict):
    """`POST /v1/session`, if the key is not in the `Authorization` header."""

    key: str
    """An API key of this server."""


@blueprint.post("/v1/session")
@open_to_all
def begin() -> Response:
    """Begin a session: the answer sets a cookie that only this site's own requests carry."""
    keys = services().keys
    if not keys.required:
        return Response(status=204)
    secret = bearer() or (validate(SessionSpec, json_body(1000)).key if is_json() else "")
    key = keys.find(secret)
    if key is None:
        raise Refusal(401, "key_unknown", "that is no key of this server", headers={"WWW-Authenticate": "Bearer"})
    response = Response(status=204)
    response.set_cookie(
        COOKIE,
        begin_session(services().redis, key.digest),
        max_age=SESSION_SECONDS,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )
    return response


@blueprint.delete("/v1/session")
@open_to_all
def end() -> Response:
    """End the session of the cookie."""
    if token := request.cookies.get(COOKIE):
        end_session(services().redis, token)
    response = Response(status=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="Strict")
    return response
