"""Pages for people, and the OpenAPI document."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template

from app.access import open_to_all
from app.codes import CODES
from app.openapi import document

blueprint = Blueprint("pages", __name__)
CACHED = "public, max-age=300"


@blueprint.get("/")
@open_to_all
def index() -> Response:
    """Show the web page; what it shows it asks for by the API, with the visitor's own key."""
    response = Response(render_template("page.html"), content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/openapi.json")
@open_to_all
def openapi() -> Response:
    """Give the OpenAPI document."""
    response = jsonify(document())
    response.headers["Cache-Control"] = CACHED
    return response


@blueprint.get("/docs")
@open_to_all
def docs() -> Response:
    """Show the OpenAPI document for people: one page, nothing from elsewhere, no script."""
    page = render_template("docs.html", api=document(), codes=CODES)
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = CACHED
    return response
