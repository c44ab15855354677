"""Whisper models by name: bundled, in a folder, or pulled from the hub once and kept."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from speech.errors import ModelError

DEMO = Path(__file__).resolve().parents[2] / "models" / "demo" / "stt"
CACHE = Path("~/.cache/voxqueue")
NEEDED = ("model.bin", "config.json", "tokenizer.json", "preprocessor_config.json")
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
ALIASES = frozenset({"", "default", "whisper-1"})
"""Names that mean the configured model; OpenAI's clients ask for `whisper-1`."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def resolve_alias(name: str | None, configured: str) -> str:
    """Return the model that is meant: the configured one for None and for the aliases."""
    return configured if name is None or name in ALIASES else name


def repository(name: str) -> str | None:
    """Return the hub repository of a size such as `large-v3-turbo` or of `owner/name`; None if it is neither."""
    from faster_whisper.utils import _MODELS

    known = _MODELS.get(name)
    return str(known) if known else name if _REPOSITORY.fullmatch(name) else None


def check_folder(folder: Path) -> None:
    """Say what is missing in a CTranslate2 Whisper folder, before CTranslate2 says something cryptic or asks the hub.

    Raises:
        ModelError: the folder is not there, a file is missing or empty, or a JSON file cannot be read.

    """
    if not folder.is_dir():
        raise ModelError(f"there is no Whisper model at {folder}: the folder does not exist", code="model_missing")
    _check_files({path.name for path in folder.iterdir() if path.is_file() and path.stat().st_size}, str(folder))
    for name in ("config.json", "preprocessor_config.json", "tokenizer.json"):
        try:
            json.loads((folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(f"{folder / name} is not JSON: {error}", code="model_damaged") from error


def _check_files(names: Collection[str], where: str) -> None:
    missing = [name for name in NEEDED if name not in names]
    if not any(name in names for name in VOCABULARIES):
        missing.append(" or ".join(VOCABULARIES))
    if missing:
        raise ModelError(
            f"{where} is not a whole CTranslate2 Whisper model: {', '.join(missing)} missing or empty. "
            "Convert a model with `ct2-transformers-converter --model NAME --output_dir FOLDER "
            "--copy_files tokenizer.json preprocessor_config.json`.",
            code="model_incomplete",
        )


def find_folder(name: str | Path, *, cache: Path = CACHE, download: bool = True) -> Path:
    """Return the checked folder of a model: the bundled `demo`, a folder, or a hub name (pulled if it must be).

    Raises:
        ModelError: the model is missing, incomplete or unknown, or could not be pulled.

    """
    folder = DEMO if str(name) == "demo" else Path(name).expanduser()
    if str(name) == "demo" or folder.is_dir():
        check_folder(folder)
        return folder
    wanted = repository(str(name))
    if wanted is None:
        raise ModelError(
            f"model {str(name)!r} is not known: use demo, the folder of a CTranslate2 Whisper model, "
            "a size such as large-v3-turbo, or owner/name of the hub",
            code="model_missing",
        )
    kept = _kept(wanted, cache)
    if not kept.is_dir():
        if not download:
            raise ModelError(
                f"model {str(name)!r} is not on this machine: pull it with `voxqueue models pull {name}`",
                code="model_missing",
            )
        return pull(str(name), cache=cache)
    check_folder(kept)
    return kept


def pull(name: str, *, cache: Path = CACHE) -> Path:
    """Download a model from the hub and return its folder. It appears whole or not at all.

    A download that was broken off goes on where it stopped, in this process or in the next one. Of two processes that
    want the same model one fetches it. ``$HF_ENDPOINT`` names another hub.

    Raises:
        ModelError: the name is unknown, the hub cannot be reached, or what it has is not a CTranslate2 model.

    """
    wanted = repository(name)
    if wanted is None:
        raise ModelError(f"model {name!r} is no name of the hub: use a size or owner/name", code="model_missing")
    target = _kept(wanted, cache)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(target.parent):
        if target.is_dir():
            return target
        try:
            part = _fetch(wanted, target)
        except ModelError:
            raise
        except Exception as error:  # the hub's client raises its own, httpx's and OSError
            raise ModelError(
                f"model {name!r} ({wanted}) could not be pulled from the hub: {' '.join(str(error).split())}. "
                f"`voxqueue models pull {name}` goes on where this stopped. On a machine without the hub, copy the "
                "folder of a CTranslate2 model there and give its path.",
                code="model_missing",
            ) from error
        check_folder(part)
        part.rename(target)
    return target


def _fetch(repository_name: str, target: Path) -> Path:
    """Download the files of a repository, each from where it stopped, into a folder of its present state."""
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # exported, though not in __all__

    info = HfApi().model_info(repository_name, files_metadata=True)
    files = {file.rfilename: file for file in info.siblings or () if file.rfilename in {*NEEDED, *VOCABULARIES}}
    _check_files(files, f"{repository_name} of the hub")
    folder = target.with_name(f".part-{target.name}-{str(info.sha)[:12]}")
    for former in target.parent.glob(f".part-{target.name}-*"):
        if former != folder:  # the repository has changed since
            shutil.rmtree(former)
    folder.mkdir(exist_ok=True)
    for name, file in files.items():
        if (folder / name).is_file():
            continue
        part = folder / f"{name}.part"
        with part.open("ab") as sink:
            http_get(
                hf_hub_url(repository_name, name, revision=info.sha),
                sink,
                resume_size=sink.tell(),
                headers={**build_hf_headers(), "Accept-Encoding": "identity"},  # bytes that can be counted
                expected_size=file.size,
                displayed_filename=name,
            )
        if file.lfs is not None and _digest(part) != file.lfs.sha256:
            part.unlink()
            raise ModelError(f"{name} of {repository_name} arrived damaged; pull it again", code="model_damaged")
        part.rename(folder / name)
    return folder


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from pulling into the same folder meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pulled(cache: Path = CACHE) -> list[str]:
    """Return the hub names of the models that were pulled, sorted."""
    root = cache.expanduser() / "stt"
    return sorted(each.name.replace("--", "/", 1) for each in root.glob("[!.]*--*") if each.is_dir())


def offered(configured: str, cache: Path = CACHE) -> list[str]:
    """Return the names a client may ask for: the configured model, the bundled one, and what was pulled."""
    return list(dict.fromkeys([configured, "demo", *pulled(cache)]))


def _kept(repository_name: str, cache: Path) -> Path:
    return cache.expanduser() / "stt" / repository_name.replace("/", "--", 1)
