"""Small rules on the text of books: white space, comparison of titles."""

from __future__ import annotations

import re
import unicodedata

CJK = "\u2e80-\u303f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_BETWEEN_CJK = re.compile(rf"(?<=[{CJK}])[ \t]*\n\s*(?=[{CJK}])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u200c\u2060\ufeff\u00ad]")
_SPACES = re.compile(r"[\s\u3000]+")
LONGEST_NAME = 1000
"""Characters of the longest title or file's name that is compared in its composed form."""


def tidy(text: str) -> str:
    """Collapse white space; a line break between two Chinese characters is none, elsewhere it is a space."""
    return _SPACES.sub(" ", _BETWEEN_CJK.sub("", _CONTROLS.sub("", text))).strip()


def speakable(text: str) -> bool:
    """Tell whether a text has a letter or a digit, and not only marks such as ``* * *``."""
    return any(unicodedata.category(c)[0] in "LN" for c in text)


def same_title(heading: str, title: str) -> bool:
    """Tell whether a heading says no more than a title does: equal, or a part of it, but for punctuation."""
    return repeats(bare_title(heading), bare_title(title))


def repeats(bare: str, whole: str) -> bool:
    """Tell the same of letters and digits alone, for many headings and one title."""
    return bool(bare) and (whole.startswith(bare) or whole.endswith(bare))


def bare_title(text: str) -> str:
    """Return the letters and digits of a title, by which two of them are compared."""
    return "".join(c for c in folded(text) if c.isalnum())


def folded(text: str) -> str:
    """Return a title or a file's name without regard to case and to how Unicode composes it."""
    # Composing takes time that grows with the square of a run of accents: not for what is too long to be a name.
    return (unicodedata.normalize("NFKC", text) if len(text) <= LONGEST_NAME else text).casefold()
