"""Holds store and ledger against each other: removes files of no job, and finds jobs whose files are gone.

Every worker has one, on a thread of its own: a store may be slow or away, and what died must not wait for that. A short
lock in Redis lets one of them work at a time.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from redis import RedisError

from jobs.errors import NotFound, StoreError
from jobs.files import OWNER_MARK, Store
from jobs.ids import made_at
from jobs.ledger import PORTION, PREFIX, Ledger
from jobs.queries import MAX_PAGE, Page, Queries
from jobs.record import Job, Problem
from jobs.settings import Settings
from jobs.states import TERMINAL, Status

log = logging.getLogger(__name__)
LOOKS = 10
"""Looks at the whole store in VOXQUEUE_ORPHAN_SECONDS."""
FILES_LOST = Problem(
    "files_lost",
    "The files are gone",
    "the result's files are not in the store any more; retry the job to make them anew",
)


class Tidier:
    """A thread that empties the trash every `VOXQUEUE_SWEEP_SECONDS` and looks at the whole store now and then."""

    def __init__(self, ledger: Ledger, store: Store, settings: Settings, *, worker: str) -> None:
        self._ledger = ledger
        self._store = store
        self._queries = Queries(ledger.redis)
        self._worker = worker
        self._seconds = settings.sweep_seconds
        self._orphan_seconds = settings.orphan_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name="tidier", daemon=True)
        self.orphans = 0
        """Folders of no job that were removed, by this tidier."""
        self.without_files = 0
        """Jobs that were found to have lost their files."""

    def start(self) -> None:
        """Begin to tidy up."""
        self._thread.start()

    def stop(self) -> None:
        """Stop soon; nobody waits for a slow store."""
        self._stop.set()

    def _live(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                if self._my_turn("tidier", self._seconds):
                    self.empty_trash()
                    if self._my_turn("tidied", self._orphan_seconds / LOOKS):
                        self.look_around()
            except (RedisError, StoreError) as error:
                log.warning("tidying up failed: %s", error)
            except Exception:
                log.exception("tidying up failed")

    def _my_turn(self, what: str, seconds: float) -> bool:
        lifetime = max(int(seconds * 1000) - 50, 50)
        return bool(self._ledger.redis.set(PREFIX + what, self._worker, nx=True, px=lifetime))

    def empty_trash(self) -> None:
        """Remove the files of erased jobs."""
        while not self._stop.is_set() and (doomed := self._ledger.trash()):
            removed: list[str] = []
            try:
                for job_id in doomed:
                    self._store.remove_job(job_id)
                    removed.append(job_id)
            finally:
                self._ledger.empty_trash(removed)

    def look_around(self) -> None:
        """Hold the whole store against the ledger; not that of another one, whose files all look like orphans."""
        own = self._ledger.identity()
        found = self._store.owner(own)
        if found == own:
            self.remove_orphans()
            if unfinished := self._store.remove_unfinished(self._orphan_seconds):
                log.warning("removed %d files that writers have left half-written when they died", unfinished)
            self.fail_without_files()
            return
        log.error(
            "VOXQUEUE_DATA_DIR or VOXQUEUE_RESULTS belongs to another ledger (%s; this one is %s): one of each for "
            "every Redis database. No orphans are removed. If the other ledger is gone for good, remove %s there",
            *(found, own, OWNER_MARK),
        )

    def remove_orphans(self) -> list[str]:
        """Remove old files that no record names: of uploads whose process died before the job was written down."""
        youngest = time.time() - self._orphan_seconds
        old = (job_id for job_id in self._store.job_ids() if made_at(job_id) < youngest)
        removed: list[str] = []
        while portion := list(itertools.islice(old, PORTION)):
            for job_id in self._queries.without_record(portion):
                log.warning("files of %s belong to no job; they are removed", job_id)
                self._store.remove_job(job_id)
                self.orphans += 1
                removed.append(job_id)
        return removed

    def fail_without_files(self) -> list[str]:
        """Fail the jobs that have succeeded but lack some file, so that they can be retried; answers their IDs.

        If that is most of them, the store itself is not what it was (not mounted, another bucket): only said.
        """
        stored, seen, suspects = {f"{job_id}/{key}" for job_id, key in self._store.blobs()}, 0, []
        for job in self._succeeded():
            seen += 1
            if not {f"{blob.home or job.id}/{blob.key}" for blob in job.output_files} <= stored:
                suspects.append(job)
        lost = [job for job in suspects if self._has_lost_files(job)]
        if 2 * len(lost) > seen:
            log.error("the files of %d of %d jobs are not in the store: is it the right one?", len(lost), seen)
            return []
        found = [job.id for job in lost if self._ledger.lose_files(job, FILES_LOST)]
        self.without_files += len(found)
        for job_id in found:
            log.error("job %s has lost its files; it is failed, and can be retried", job_id)
        return found

    def _succeeded(self) -> Iterator[Job]:
        """Yield the jobs that have succeeded and, of parents that have ended, the children that have.

        A parent's result is made of its children's: who retries it must have theirs made anew, too.
        """
        for status in sorted(TERMINAL):
            for job in self._all(partial(self._queries.page, status=status, limit=MAX_PAGE)):
                if status is Status.SUCCEEDED:
                    yield job
                if job.kind.is_parent:
                    children = partial(self._queries.children, job.id, status=Status.SUCCEEDED, limit=MAX_PAGE)
                    yield from self._all(children)

    @staticmethod
    def _all(page_after: Callable[..., Page]) -> Iterator[Job]:
        """Yield the jobs of all pages, or of as many as there are until the last one of a page is erased."""
        after: str | None = None
        with contextlib.suppress(NotFound):
            while True:
                page = page_after(after=after)
                yield from page.jobs
                after = page.next
                if after is None:
                    return

    def _has_lost_files(self, job: Job) -> bool:
        try:
            for blob in job.output_files:
                self._store.open(job.id, blob).close()
        except NotFound:
            return True
        return False
