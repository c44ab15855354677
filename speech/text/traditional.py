"""Traditional characters as simplified ones, one for one: words and readings are looked up in simplified script."""

from __future__ import annotations

from functools import cache
from typing import Any

# Simplified text has single characters that also are traditional ones (瞭 of 瞭望): one change proves nothing.
_FEWEST_CHANGES = 2


def simplified(text: str) -> str:
    """Return the text in simplified characters if it is in traditional ones; the length stays the same."""
    converted = str(_table().convert(text))
    if converted == text or len(converted) != len(text):
        return text
    changes = sum(one != other for one, other in zip(text, converted, strict=True))
    return converted if changes >= _FEWEST_CHANGES else text


@cache
def _table() -> Any:
    from opencc import OpenCC

    return OpenCC("tw2s")
