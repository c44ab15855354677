"""The application: its services, its concerns, its routes."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask

from app import access, bodies, headers, problems
from app.routes import BLUEPRINTS
from app.services import Services
from jobs import tracing
from jobs.logs import now_about
from jobs.settings import Settings
from jobs.settings import settings as process_settings

log = logging.getLogger(__name__)


def build(settings: Settings | None = None) -> Flask:
    """See `app.create_app`."""
    app = Flask("app", static_folder="static", static_url_path="/static")
    app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]  # Flask's default provider has both
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    services = Services.open(settings or process_settings())
    services.keys.allow_binding(services.settings.host)
    if services.settings.traces:
        tracing.start("voxqueue-web")
    services.check_ledger()
    app.extensions["voxqueue"] = services
    _tell(services.settings)
    app.url_value_preprocessor(_note_job)
    for concern in (problems, bodies, access, headers):
        concern.register(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    return app


def _note_job(endpoint: str | None, values: dict[str, Any] | None) -> None:  # noqa: ARG001 - Flask's signature
    """Let what is logged from here on be about the job of the address, or about none."""
    now_about(str((values or {}).get("job_id", "")))


def _tell(settings: Settings) -> None:
    redis = settings.redis_url.partition("?")[0].rpartition("@")[2].rpartition("//")[2]
    results = str(settings.blobs_dir) if settings.results == "disk" else settings.results.rpartition("@")[2]
    keys = "with keys" if settings.api_keys else "without keys"
    log.info("web is ready: Redis at %s, results in %s, %s", redis, results, keys)
    log.info("voice %s, recogniser %s; devices are the workers' affair", settings.tts_voice, settings.stt_model)
