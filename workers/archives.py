"""Archives of recordings: what is in them, judged by their headers before anything is unpacked, and zips of results."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from jobs.files import CHUNK, Store
from jobs.names import clean_path
from jobs.record import Blob, Problem

ZIP_TYPES = {"application/zip", "application/x-zip-compressed"}
LARGEST_RATIO = 200
"""A member that grows more than this is a bomb; speech in any codec is far below it."""
LARGEST_GROWTH = 10
"""A whole archive unpacked, in units of `VOXQUEUE_MAX_UPLOAD_BYTES`."""
UNREADABLE = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error, lzma.LZMAError, struct.error,
    ValueError,
)  # fmt: skip
"""What zipfile raises for archives that it cannot read: damaged, compressed in unknown ways, encrypted, with names that
are no UTF-8, with members before their beginning."""
NAME_IS_UTF_8, ENCRYPTED = 0x800, 0x1
LITTER = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Member:
    """A recording in an archive. zipfile reads no more of it than its header says, so the header is what counts."""

    path: str
    info: zipfile.ZipInfo
    problem: Problem | None


def is_zip(blob: Blob) -> bool:
    """Whether an upload is an archive of recordings."""
    return blob.media_type in ZIP_TYPES or blob.name.lower().endswith(".zip")


def members(archive: zipfile.ZipFile, name: str, max_bytes: int) -> Iterator[Member]:
    """Yield the files of an archive that somebody meant, in their order. Raises `BadZipFile` if it is a bomb."""
    kept = [info for info in archive.infolist() if _is_meant(info)]
    unpacked, limit = sum(info.file_size for info in kept), LARGEST_GROWTH * max_bytes
    if unpacked > limit:
        raise zipfile.BadZipFile(f"has {unpacked} bytes unpacked, the limit is {limit}; split it")
    for info in kept:
        path = clean_path(_name(info), "recording")
        yield Member(path, info, _problem(info, f"{path} in {name}", max_bytes))


def _problem(info: zipfile.ZipInfo, what: str, max_bytes: int) -> Problem | None:
    if info.flag_bits & ENCRYPTED:
        return Problem("encrypted", "The recording cannot be read", f"{what} is encrypted; send it without a password")
    limit = min(max_bytes, max(info.compress_size, 1) * LARGEST_RATIO)
    if info.file_size > limit:
        detail = f"{what} would have {info.file_size} bytes unpacked, the limit is {limit}; send it by itself"
        return Problem("zip_bomb", "The recording is too large", detail)
    return None


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name. Older programs write it in the system's encoding and do not say so."""
    if info.flag_bits & NAME_IS_UTF_8:
        return info.filename
    try:
        raw = info.filename.encode("cp437")  # what zipfile takes it for
    except UnicodeEncodeError:  # a name from the field for Unicode, which later Pythons read
        return info.filename
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _is_meant(info: zipfile.ZipInfo) -> bool:
    """Whether a member has a name, is no folder, no link, and nothing that operating systems leave behind."""
    if not info.filename:
        return False
    path = PurePosixPath(info.filename.replace("\\", "/"))
    litter = path.name.startswith(".") or "__MACOSX" in path.parts or path.name.lower() in LITTER
    return not (info.is_dir() or stat.S_ISLNK(info.external_attr >> 16) or litter)


def chunks(archive: zipfile.ZipFile, member: Member) -> Iterator[bytes]:
    """Yield what is in a member. Raises `UNREADABLE`: bzip2's complaint would be taken for one of the disk."""
    try:
        with archive.open(member.info) as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise zipfile.BadZipFile(str(error)) from error


def copy_into(archive: zipfile.ZipFile, name: str, store: Store, job_id: str, blob: Blob) -> None:
    """Stream a blob into a zip. Audio is stored as it is: it does not get smaller."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED if blob.media_type.startswith("audio/") else zipfile.ZIP_DEFLATED
    with store.open(job_id, blob) as source, archive.open(info, "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target)
