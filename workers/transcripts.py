"""The work of a transcripts job: many recordings, one child each; a zip and a summary at the end."""

from __future__ import annotations

import csv
import io
import shutil
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from jobs.files import Store, TooLarge, scratch
from jobs.record import Blob, Job, Output
from jobs.settings import Settings
from jobs.specs import STTSpec, TranscriptsSpec
from jobs.states import Kind
from workers.parents import LISTED_FILES, Child, Family, as_json, at_home, failure_warnings, options_for, problem_of
from workers.session import JobFailed, Session

ZIP_TYPES = {"application/zip", "application/x-zip-compressed"}
LARGEST_RATIO = 200
"""A zip member that grows more than this is a bomb; speech in any codec is far below it."""
LARGEST_GROWTH = 10
"""A whole zip unpacked, in units of `VOXQUEUE_MAX_UPLOAD_BYTES`. No member may be longer than it says it is."""
COLUMNS = ("file", "status", "seconds", "language", "words", "error", "job")


@dataclass(frozen=True)
class Transcripts:
    """Plans and assembles transcripts jobs."""

    family: Family
    store: Store
    settings: Settings

    def plan(self, session: Session) -> None:
        """Submit a child for every recording, those inside of zip files too."""
        spec = options_for(session.job, STTSpec)
        children = (
            Child(index, Kind.STT, spec, (blob,), {"path": blob.name})
            for index, blob in enumerate(self._recordings(session.job))
        )
        if not self.family.submit(session, children):
            raise JobFailed("no_files", "No recordings", "files: the zip holds no files")

    def _recordings(self, job: Job) -> Iterator[Blob]:
        count = 0
        for blob in job.inputs:
            members = self._unzip(job, blob) if is_zip(blob) else iter([blob])
            for member in members:
                count += 1
                if count > self.settings.max_children:
                    raise JobFailed(
                        "too_many_files",
                        "Too many recordings",
                        f"files: more than {self.settings.max_children} (VOXQUEUE_MAX_CHILDREN); split the job",
                    )
                yield member

    def _unzip(self, job: Job, blob: Blob) -> Iterator[Blob]:
        with self.store.path(job.id, blob) as path:
            try:
                with zipfile.ZipFile(path) as archive:
                    members = [info for info in archive.infolist() if wanted_member(info)]
                    self._check_total(blob, sum(info.file_size for info in members))
                    for info in members:
                        yield self._member(job, blob, archive, info)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                raise JobFailed("bad_zip", "The zip cannot be read", f"files: {blob.name}: {error}") from error

    def _check_total(self, blob: Blob, unpacked: int) -> None:
        limit = LARGEST_GROWTH * self.settings.max_upload_bytes
        if unpacked > limit:
            detail = f"files: {blob.name} has {unpacked} bytes unpacked, the limit is {limit}; split it"
            raise JobFailed("zip_bomb", "The zip is too large", detail)

    def _member(self, job: Job, blob: Blob, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Blob:
        limit = min(self.settings.max_upload_bytes, info.file_size, max(info.compress_size, 1) * LARGEST_RATIO)
        name = safe_path(info.filename)
        with archive.open(info) as file:
            try:
                return self.store.put(job.id, _chunks(file), name=name, max_bytes=limit)
            except TooLarge as error:
                detail = f"files: {name} in {blob.name} grows beyond {limit} bytes when unpacked"
                raise JobFailed("zip_bomb", "A zip member is too large", detail) from error

    def assemble(self, session: Session) -> Output:
        """Put the children's files into a zip that mirrors the folders, and write the summaries."""
        job = session.job
        spec = TranscriptsSpec.model_validate(job.spec)
        rows: list[dict[str, Any]] = []
        listed: list[Blob] = []
        seconds = 0.0
        with scratch() as folder:
            archive_path = folder / "transcripts.zip"
            names = UniqueNames()
            with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
                for child in self.family.children(job):
                    session.check()
                    rows.append(_row(child))
                    seconds += child.output.get("duration_seconds") or 0.0
                    stem = PurePosixPath(child.metadata.get("path", child.id)).with_suffix("")
                    for blob in child.output_files:
                        name = names.take(f"{stem}{PurePosixPath(blob.name).suffix}")
                        copy_into(archive, name, self.store, child.id, blob)
                        listed.append(at_home(Blob(blob.key, blob.bytes, name, blob.media_type), child.id))
                for name, content in (("summary.csv", _as_csv(rows)), ("summary.json", as_json(rows))):
                    archive.writestr(names.take(name), content)
            files = [
                self.store.put(job.id, archive_path, name="transcripts.zip", media_type="application/zip"),
                self.store.put(job.id, _as_csv(rows), name="summary.csv", media_type="text/csv"),
                self.store.put(job.id, as_json(rows), name="summary.json", media_type="application/json"),
            ]
        if len(rows) <= LISTED_FILES:
            files += listed
        output = Output(
            files=tuple(files),
            duration_seconds=round(seconds, 3),
            warnings=tuple(failure_warnings(self.family.children(job))),
        )
        return self.family.verdict(session, output, strict=getattr(spec, "strict", False))


def is_zip(blob: Blob) -> bool:
    """Whether an upload is an archive of recordings."""
    return blob.media_type in ZIP_TYPES or blob.name.lower().endswith(".zip")


def wanted_member(info: zipfile.ZipInfo) -> bool:
    """Whether a zip member is a file that somebody meant: no folder, link, or what operating systems leave behind."""
    path = PurePosixPath(info.filename.replace("\\", "/"))
    is_link = stat.S_ISLNK(info.external_attr >> 16)
    litter = path.name.startswith(".") or "__MACOSX" in path.parts or path.name.lower() in {"thumbs.db", "desktop.ini"}
    return not (info.is_dir() or is_link or litter)


def safe_path(name: str) -> str:
    """Return a relative path without tricks: no root, drive, dots or control characters."""
    parts = ["".join(c for c in part if c.isprintable()).strip() for part in name.replace("\\", "/").split("/")]
    kept = [part for part in parts if part and part not in {".", ".."} and not part.endswith(":")]
    return "/".join(kept)[-400:] or "unnamed"


class UniqueNames:
    """Gives each taken name once; a second one gets a number."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return `name`, or `name (2)` and so on if it is taken."""
        path, free, number = PurePosixPath(name), name, 1
        while free.casefold() in self._taken:
            number += 1
            free = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
        self._taken.add(free.casefold())
        return free


def copy_into(archive: zipfile.ZipFile, name: str, store: Store, job_id: str, blob: Blob) -> None:
    """Stream a blob into a zip. Audio is stored as it is: it does not get smaller."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED if blob.media_type.startswith("audio/") else zipfile.ZIP_DEFLATED
    with store.open(job_id, blob) as source, archive.open(info, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk


def _row(child: Job) -> dict[str, Any]:
    problem = problem_of(child)
    text = child.output.get("text") or ""
    language = child.output.get("language") or ""
    return {
        "file": child.metadata.get("path", Path(child.id).name),
        "status": child.status.value,
        "seconds": child.output.get("duration_seconds"),
        "language": language,
        "words": len(text.split()) if " " in text.strip() else len(text),
        "error": problem.detail if problem else "",
        "job": child.id,
    }


def _as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _no_formula(value: Any) -> Any:
    """Keep a spreadsheet from running a file's name."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t"} else value
