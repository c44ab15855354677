"""The application: its services, its concerns, its routes."""

from __future__ import annotations

from flask import Flask

from app import access, bodies, headers, problems
from app.routes import BLUEPRINTS
from app.services import Services
from jobs.settings import Settings
from jobs.settings import settings as process_settings


def build(settings: Settings | None = None) -> Flask:
    """See `app.create_app`."""
    app = Flask("app", static_folder="static", static_url_path="/static")
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has both
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    services = Services.open(settings or process_settings())
    services.keys.allow_binding(services.settings.host)
    services.check_ledger()
    app.extensions["voxqueue"] = services
    for concern in (problems, bodies, access, headers):
        concern.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app
