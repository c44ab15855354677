"""Small rules on the text of books: white space, comparison of titles."""

from __future__ import annotations

import re
import unicodedata

CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_BETWEEN_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n\s*(?=[{CJK}])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200c\u2060\ufeff\u00ad]")
_SPACES = re.compile(r"[\s\u3000]+")


def tidy(text: str) -> str:
    """Collapse white space; a line break between two Chinese characters is none, elsewhere it is a space."""
    return _SPACES.sub(" ", _BETWEEN_CJK.sub("", _CONTROLS.sub("", text))).strip()


def speakable(text: str) -> bool:
    """Tell whether a text has a letter or a digit, and not only marks such as ``* * *``."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def same_title(heading: str, title: str) -> bool:
    """Tell whether a heading says no more than a title does: equal, or a part of it, but for punctuation."""
    bare, whole = _bare(heading), _bare(title)
    return bool(bare) and (bare == whole or whole.startswith(bare) or whole.endswith(bare))


def _bare(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())
