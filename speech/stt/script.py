"""Simplified or traditional characters: Whisper writes Chinese in either, as it pleases."""

from __future__ import annotations

import functools
from collections.abc import Callable

from speech.stt.options import Script

Converter = Callable[[str], str]

CHINESE = frozenset({"zh", "yue"})
CONFIGURATIONS = {"hans": "t2s", "hant": "s2t"}


def converter(script: Script, language: str) -> Converter:
    """Return what brings a text into a script; the identity for ``keep`` and for languages other than Chinese.

    Characters are chosen by phrase (OpenCC), punctuation stays as it is, full width included.
    """
    if script == "keep" or language not in CHINESE:
        return str
    return _convert(CONFIGURATIONS[script])


@functools.cache
def _convert(configuration: str) -> Converter:
    from opencc import OpenCC

    table = OpenCC(configuration)
    return lambda text: str(table.convert(text))
