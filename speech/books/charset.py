"""Which encoding a plain text is in, judged by the words it would then hold."""

from __future__ import annotations

import codecs
from typing import NamedTuple

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如"
    "都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高"
    "間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水"
    "這個們來為國說時會對過後裡還進樣沒當現動經點業與長從機將兩高問開無實關學種發爱道听走吗呢吧啊手眼头话声问见门"
)
"""Characters that make up more than half of any Chinese prose, simplified and traditional."""
SAMPLE_BYTES = 200_000
TOLERATED_ERRORS = 0.05
"""Share of what is not ASCII that may be undecodable in a damaged text; in another encoding nearly all of it is."""


class Decoded(NamedTuple):
    """A text, its encoding, and how many characters could not be decoded (they are left out)."""

    text: str
    encoding: str
    lost: int


def decode_text(data: bytes) -> Decoded:
    """Decode a text: by its byte order mark, as UTF-8, UTF-16, GB18030, Big5, or else Western."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], encoding)
    wide = _utf16(data[:SAMPLE_BYTES])
    if wide:
        return _decoded(data, wide)
    utf8 = _decoded(data, "utf-8")
    if utf8.lost <= TOLERATED_ERRORS * sum(c > "\x7f" for c in utf8.text):
        return utf8
    sample = data[:SAMPLE_BYTES]
    best = max(("gb18030", "big5hkscs"), key=lambda encoding: _prose(sample, encoding))
    return _decoded(data, best if _prose(sample, best) > 0.1 else "cp1252")


def _decoded(data: bytes, encoding: str) -> Decoded:
    text = data.decode(encoding, errors="replace")
    return Decoded(text.replace("\ufffd", ""), encoding, text.count("\ufffd"))


def _utf16(data: bytes) -> str | None:
    """UTF-16 without a mark: no other encoding of a text holds zero bytes, and one order of bytes makes sense."""
    if 0 not in data:
        return None
    even = data[: len(data) & ~1]
    best = max(("utf-16-le", "utf-16-be"), key=lambda encoding: _sense(even, encoding))
    return best if _sense(even, best) > 0.4 else None


def _sense(data: bytes, encoding: str) -> float:
    text = data.decode(encoding, errors="replace")
    return sum(c in FREQUENT or c in "，。\r\n" or " " <= c <= "~" for c in text) / max(1, len(text))


def _prose(data: bytes, encoding: str) -> float:
    """Return the share of frequent characters among all beyond ASCII, less what cannot be decoded."""
    text = data.decode(encoding, errors="replace")
    beyond = [c for c in text if c > "\x7f" and c.isalpha()]
    if not beyond:
        return 0.0
    return (sum(c in FREQUENT for c in beyond) - 5 * text.count("\ufffd")) / len(beyond)
