"""``python -m speech.tts``: engines and voices from the command line (``voxqueue engine`` and ``voxqueue voices``)."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from speech.errors import ModelError, SpeechError
from speech.tts.engines import cache_folder, list_engines
from speech.tts.hub import list_voices, pull, resolve_voice


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 after one line that says what is wrong."""
    wanted = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        return int(wanted.run(wanted))
    except SpeechError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m speech.tts", description=__doc__)
    kinds = parser.add_subparsers(required=True)
    engine = kinds.add_parser("engine", help="TensorRT engines of vocoders").add_subparsers(required=True)
    for name, run, text in (("build", _build, "build or verify a voice's engine"), ("check", _check, "verify it only")):
        command = engine.add_parser(name, help=text)
        command.add_argument("voice", help="demo, a folder or a hub name")
        command.add_argument("--name", help="which voice of a model with several")
        command.add_argument("--device", default="cuda")
        command.add_argument("--precision", default="float16")
        command.set_defaults(run=run)
    engine.add_parser("list", help="what is in the cache").set_defaults(run=_list_engines)
    voices = kinds.add_parser("voices", help="voice models").add_subparsers(required=True)
    command = voices.add_parser("pull", help="fetch a model from the hub")
    command.add_argument("model")
    command.set_defaults(run=_pull)
    return parser


def _build(wanted: argparse.Namespace) -> int:
    from speech.tts.voice import Voice

    voice = Voice.load(
        wanted.voice, name=wanted.name, device=wanted.device, precision=wanted.precision, vocoder="tensorrt"
    )
    _say(voice.report())
    return 0


def _check(wanted: argparse.Namespace) -> int:
    from speech.device import resolve_device
    from speech.tts.tensorrt import engine_key, open_engine
    from speech.tts.vocoder import load_vocoder
    from speech.tts.vocoding import WINDOW_FRAMES, WINDOW_ROWS

    device = resolve_device(wanted.device)
    found = resolve_voice(wanted.voice, wanted.name)
    if found.voc is None:
        raise ModelError(f"{found.path} has no vocoder", code="no_vocoder")
    generator, _ = load_vocoder(found.voc)
    generator.to(device.torch_name)
    key = engine_key(generator, device, wanted.precision, WINDOW_FRAMES, WINDOW_ROWS)
    file = key.file_in(cache_folder())
    _, decibels = open_engine(file, key, generator, device)
    _say({"file": str(file), "snr_db": round(decibels, 1)})
    return 0


def _list_engines(_: argparse.Namespace) -> int:
    for one in list_engines(cache_folder()):
        _say(one)
    return 0


def _pull(wanted: argparse.Namespace) -> int:
    folder: Path = pull(wanted.model)
    _say({"folder": str(folder), "voices": list_voices(folder)})
    return 0


def _say(content: object) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
