"""From the name of a voice to its folder: the bundled demo, a folder, a model root, or a name on the model hub.

Folder layout: specification section 4.1, ``custom_ckpt`` included. A model root may list emotions per voice in
``voices/voices.json`` under ``emotions`` (``{"voices": ["demo"], "emotions": {"demo": ["neutral", "happy"]}}``),
because no published file says which ones a voice was trained on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech.errors import ModelError
from speech.tts.checkpoint import NetworkFiles
from speech.tts.engines import cache_root

log = logging.getLogger(__name__)

DEMO = Path(__file__).resolve().parents[2] / "models" / "demo" / "tts"
# What the hub's own pipeline assumes when configuration.json does not say.
DEFAULT_SAMPLE_RATE = 16000
HUB_NAME = re.compile(r"(iic|damo|speech_tts|[A-Za-z][\w-]*)/[\w.-]+")
# Data of the closed front end (hundreds of megabytes) and a network used in training only.
NOT_NEEDED = ["resource.zip", "resource/*", "voices/*/se/*"]
_COMPLETE = ".voxqueue-complete"


@dataclass(frozen=True)
class VoiceFolder:
    """One voice on disk: its acoustic model and/or vocoder; ``emotions`` are short names, empty if not known."""

    path: Path
    name: str
    emotions: tuple[str, ...]
    sample_rate: int
    am: NetworkFiles | None
    voc: NetworkFiles | None


def resolve_voice(wanted: str | Path, name: str | None = None) -> VoiceFolder:
    """Return the folder of a voice, fetching a hub name that is not in the cache yet.

    ``wanted`` is ``demo``, a voice folder, a model root (``name`` picks one of its voices, else the first), or a hub
    name such as ``iic/speech_sambert-hifigan_tts_zh-cn_16k``.

    Raises:
        ModelError: no such folder or voice, or the hub cannot be reached.

    """
    path = model_folder(wanted)
    return _lone_voice(path) if _is_voice(path) else _of_root(path, name)


def voice_names(wanted: str | Path) -> list[str]:
    """Return the names of all voices that ``resolve_voice`` finds there, the default one first; raise ModelError."""
    path = model_folder(wanted)
    return [path.name] if _is_voice(path) else list_voices(path)


def model_folder(wanted: str | Path) -> Path:
    """Return the folder that a name stands for, fetching a hub name that is not in the cache yet; raise ModelError."""
    path = DEMO if str(wanted) == "demo" else Path(wanted)
    if not path.is_dir():
        if not is_hub_name(str(wanted)):
            raise ModelError(
                f"{wanted} is no voice: give a folder with am/ and voc/, a model folder with voices/voices.json, "
                "demo, or a hub name such as iic/speech_sambert-hifigan_tts_zh-cn_16k",
                code="model_missing",
            )
        path = pull(str(wanted))
    return path


def list_voices(root: Path) -> list[str]:
    """Return the voices of a model root whose folders exist, the default one first; raise ModelError if none."""
    custom = _model_settings(root).get("custom_ckpt")
    if custom:
        return [_custom_setting(root, custom, "voice_name")]
    file = root / "voices" / "voices.json"
    names = _read_json(file).get("voices")
    if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
        raise ModelError(f"{file}: key voices is no list of names")
    for one in names:
        if Path(one).name != one or one in {"", ".", ".."}:
            raise ModelError(f"{file}: key voices: {one!r} is no plain folder name")
    found = [one for one in names if (root / "voices" / one).is_dir()]
    if not found:
        raise ModelError(f"{root / 'voices'} holds none of the voices that voices.json lists", code="model_missing")
    return found


def is_hub_name(wanted: str) -> bool:
    """Return whether a string looks like ``owner/model`` rather than a path."""
    return HUB_NAME.fullmatch(wanted) is not None


def hub_folder(name: str) -> Path:
    """Return where a hub model is kept."""
    return cache_root() / "voices" / Path(*name.split("/"))


def pull(name: str) -> Path:
    """Return the folder of a hub model, fetched once and from then on used without a network.

    An interrupted download goes on where it stopped, and the client shows how far it is on stderr. Another address of
    the hub is taken from ``$MODELSCOPE_ENDPOINT``.

    Raises:
        ModelError: no such model, or the hub cannot be reached (says what to do without it).

    """
    if not is_hub_name(name):
        raise ModelError(f"{name!r} is no hub name: it looks like owner/model", code="model_missing")
    folder = hub_folder(name)
    if (folder / _COMPLETE).is_file():
        return folder
    from modelscope import snapshot_download

    log.info("fetching the voice model %s into %s", name, folder)
    began = time.monotonic()
    try:
        # Given, because the client itself reads the variable only once in a process.
        endpoint = os.environ.get("MODELSCOPE_ENDPOINT") or None
        snapshot_download(name, local_dir=str(folder), ignore_patterns=NOT_NEEDED, endpoint=endpoint)
    except Exception as error:  # the client's own errors have no common base but OSError and ValueError
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the voice model {name} is not in {folder} and could not be fetched: {reason}. Without a network, fetch "
            f"it on another machine (voxqueue voices pull {name}), copy that folder here, or give a voice folder.",
            code="hub_unreachable" if isinstance(error, ConnectionError) else "hub_failed",
        ) from error
    (folder / _COMPLETE).write_text(name + "\n", encoding="utf-8")
    log.info("fetched %s in %.0f s", name, time.monotonic() - began)
    return folder


def _is_voice(path: Path) -> bool:
    return (path / "am").is_dir() or (path / "voc").is_dir()


def _lone_voice(path: Path) -> VoiceFolder:
    # Only a folder that lies under voices/ belongs to a model root.
    return _voice(path, path.parent.parent if path.parent.name == "voices" else path)


def _of_root(root: Path, name: str | None) -> VoiceFolder:
    listed = list_voices(root)
    if name is not None and name not in listed:
        raise ModelError(f"{root} has no voice {name!r}; it has {', '.join(listed)}", code="model_missing")
    custom = _model_settings(root).get("custom_ckpt")
    if custom:
        return _custom_voice(root, listed[0], custom)
    return _voice(root / "voices" / (name or listed[0]), root)


def _voice(path: Path, root: Path) -> VoiceFolder:
    am, voc = (NetworkFiles.of(path / part) if (path / part).is_dir() else None for part in ("am", "voc"))
    return VoiceFolder(path, path.name, _emotions(root, path.name), _sample_rate(root), am, voc)


def _custom_voice(root: Path, name: str, custom: Any) -> VoiceFolder:
    """Return the one voice of a model whose configuration names its files, from the model folder on or absolute."""

    def file(key: str, usual: str | None = None) -> Path:
        return root / (usual if usual and key not in custom else _custom_setting(root, custom, key))

    along = file("se_file", "se.npy"), file("mvn_file", "mvn.npy")
    am = NetworkFiles(file("am_config"), file("am_ckpt"), *along)
    voc = NetworkFiles(file("voc_config"), file("voc_ckpt"), *along)
    return VoiceFolder(root, name, _emotions(root, name), _sample_rate(root), am, voc)


def _custom_setting(root: Path, custom: Any, key: str) -> str:
    value = custom.get(key) if isinstance(custom, dict) else None
    if not isinstance(value, str) or not value:
        raise ModelError(
            f"{root / 'configuration.json'}: key model.custom_ckpt.{key} is missing; voice_name, am_ckpt, voc_ckpt, "
            "am_config and voc_config are needed"
        )
    return value


def _model_settings(root: Path) -> Mapping[str, Any]:
    file = root / "configuration.json"
    settings = _read_json(file).get("model", {}) if file.is_file() else {}
    if not isinstance(settings, dict):
        raise ModelError(f"{file}: key model is no JSON object")
    return settings


def _sample_rate(root: Path) -> int:
    rate = _model_settings(root).get("sample_rate", DEFAULT_SAMPLE_RATE)
    if isinstance(rate, bool) or not isinstance(rate, int) or rate < 1:
        raise ModelError(f"{root / 'configuration.json'}: key model.sample_rate is {rate!r}, a whole number is wanted")
    return rate


def _emotions(root: Path, name: str) -> tuple[str, ...]:
    file = root / "voices" / "voices.json"
    listed = _read_json(file).get("emotions", {}) if file.is_file() else {}
    emotions = listed.get(name, []) if isinstance(listed, dict) else None
    if not isinstance(emotions, list):
        raise ModelError(f"{file}: key emotions.{name} is no list of names")
    return tuple(str(one) for one in emotions)


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing", code="model_missing") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{file} holds no JSON object")
    return content
