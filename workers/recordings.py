"""What a transcripts job is to transcribe: uploads, members of archives, and the lines of a manifest.

The list is derived from the job's inputs alone, so planner and assembler see the same recordings under the same
numbers, and a recording that cannot be had needs no child to be reported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from jobs.files import Store
from jobs.listing import all_files
from jobs.manifests import MANIFEST, ManifestLine, wanted
from jobs.names import clean_path
from jobs.record import Blob, Job, Problem
from jobs.settings import Settings
from workers.archives import UNREADABLE, Member, chunks, is_zip, members
from workers.session import JobFailed


@dataclass(frozen=True)
class Recording:
    """A recording of a job. `path` is what it is called in the result."""

    path: str
    own: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its spec that the job's other recordings do not share."""
    take: Callable[[], Blob] | None = None
    """Gives the recording as an input of the job, unpacked where it must be; None: it is where `own` says."""
    problem: Problem | None = None


@dataclass(frozen=True)
class Recordings:
    """Lists the recordings of jobs."""

    store: Store
    settings: Settings

    def of(self, job: Job) -> Iterator[Recording]:
        """Yield the recordings in their order: those of a manifest that are elsewhere, then the uploads.

        Raises `JobFailed` for too many.
        """
        for number, recording in enumerate(self._all(job), 1):
            if number > self.settings.max_children:
                limit = f"{self.settings.max_children} (VOXQUEUE_MAX_CHILDREN)"
                raise JobFailed("too_many_files", "Too many recordings", f"files: more than {limit}; split the job")
            yield recording

    def _all(self, job: Job) -> Iterator[Recording]:
        named: dict[str, list[ManifestLine]] = {}
        yield from self._of_manifest(job, named)
        for blob in all_files(self.store, job):
            if is_zip(blob):
                yield from self._of_archive(job, blob, named)
            else:
                yield from _uploaded(blob.name, named, partial(_as_it_is, blob))
        for name in (name for name, lines in named.items() for _ in lines):
            detail = f"manifest: no uploaded file is called {name}; a file in a folder or .zip is named with it"
            yield Recording(name, problem=Problem("no_such_file", "No such recording", detail))

    def _of_manifest(self, job: Job, named: dict[str, list[ManifestLine]]) -> Iterator[Recording]:
        """Yield what is not uploaded; lines about uploads are put into `named`."""
        manifest = next((blob for blob in job.inputs if blob.name == MANIFEST), None)
        if manifest is None:
            return
        with self.store.open(job.id, manifest) as file:
            for found in wanted(file, manifest.media_type):
                if found.line is None:
                    yield Recording(f"line-{found.number}", problem=found.problem)
                elif found.line.file is not None:
                    named.setdefault(clean_path(found.line.file, "recording"), []).append(found.line)
                else:
                    yield Recording(found.line.path, found.line.own)

    def _of_archive(self, job: Job, blob: Blob, named: dict[str, list[ManifestLine]]) -> Iterator[Recording]:
        with self.store.path(job.id, blob) as path:
            try:
                archive = zipfile.ZipFile(path)
                found = list(members(archive, blob.name, self.settings.max_upload_bytes))
            except UNREADABLE as error:
                problem = Problem("bad_zip", "The zip cannot be read", f"files: {blob.name}: {error}")
                yield Recording(blob.name, problem=problem)
                return
            with archive:
                for member in found:
                    if member.problem:
                        yield Recording(member.path, problem=member.problem)
                    else:
                        yield from _uploaded(member.path, named, self._unpacker(job, archive, member))

    def _unpacker(self, job: Job, archive: zipfile.ZipFile, member: Member) -> Callable[[], Blob]:
        @cache  # several lines of a manifest may be about it
        def unpack() -> Blob:
            try:
                return self.store.put(job.id, chunks(archive, member), name=member.path)
            except UNREADABLE as error:
                raise JobFailed("bad_zip", "The recording cannot be read", f"{member.path}: {error}") from error

        return unpack


def _as_it_is(blob: Blob) -> Blob:
    return blob


def _uploaded(path: str, named: dict[str, list[ManifestLine]], take: Callable[[], Blob]) -> Iterator[Recording]:
    """Yield an upload once for each line about it, as each line would have it, or once as it is."""
    lines = named.pop(path, None)
    if lines is None:
        yield Recording(path, take=take)
    else:
        yield from (Recording(line.path, line.own, take) for line in lines)
