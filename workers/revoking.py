"""Flower's Revoke is a cancel: the ledger, not the memory of one worker, remembers it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jobs.errors import JobsError

if TYPE_CHECKING:
    from workers.process import WorkerProcess

log = logging.getLogger(__name__)


def cancel_revoked(process: WorkerProcess, request: Any) -> None:
    """Cancel the job of a revoked task."""
    job_id = str(request.id).removesuffix(".plan").removesuffix(".assemble")
    try:
        process.broker.send(process.ledger.cancel(job_id))
    except JobsError as error:
        log.info("revoked task %s: %s", request.id, error.detail)
