"""The uploads of a job with many of them: a few in its record, all of them in a file. A record must stay small."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jobs.files import Store
from jobs.record import Blob, Job

MOST_IN_RECORD = 100
LISTING = ".files.json"


def inputs_of(store: Store, job_id: str, files: Sequence[Blob]) -> list[Blob]:
    """Return the inputs for the record of a job with these files; the list of many is stored beside them."""
    if len(files) <= MOST_IN_RECORD:
        return list(files)
    listing = json.dumps([blob.to_json() for blob in files], ensure_ascii=False).encode()
    return [*files[:MOST_IN_RECORD], store.put(job_id, listing, name=LISTING, media_type="application/json")]


def all_files(store: Store, job: Job) -> list[Blob]:
    """Return the files of a job, in the order in which they came."""
    listing = next((blob for blob in job.inputs if blob.name == LISTING), None)
    if listing is None:
        return [blob for blob in job.inputs if not blob.is_hidden]
    with store.open(job.id, listing) as file:
        return [Blob.from_json(blob) for blob in json.load(file)]
