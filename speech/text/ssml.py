"""A subset of SSML: speak, p, s, break, voice, prosody rate, emotion category, phoneme (pinyin), sub.

No DTD (so no entities and no expansion attacks), limited depth and length; anything unknown is refused by name.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from speech.errors import TextError
from speech.text.markup import Stretch, StretchBuilder, emotion_of, pause_of, shown, speed_of, syllables_of, voice_of

if TYPE_CHECKING:
    from speech.text.model import Style

MAX_CHARACTERS = 2_000_000
MAX_DEPTH = 16
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
_STRENGTHS = {"none": 0, "x-weak": 100, "weak": 200, "medium": 400, "strong": 700, "x-strong": 1000}
_ALPHABETS = ("pinyin", "py", "x-pinyin", "x-cn-pinyin", "sapi")
# Element: the attributes it may have.
_ELEMENTS: dict[str, frozenset[str]] = {
    "speak": frozenset(("version", "xml:lang", "xmlns", "xmlns:xsi", "xsi:schemaLocation", "xmlns:mstts")),
    "p": frozenset(("xml:lang",)),
    "s": frozenset(("xml:lang",)),
    "break": frozenset(("time", "strength")),
    "voice": frozenset(("name", "xml:lang")),
    "prosody": frozenset(("rate",)),
    "emotion": frozenset(("category", "intensity")),
    "phoneme": frozenset(("alphabet", "ph")),
    "sub": frozenset(("alias",)),
}
_EMPTY_ELEMENTS = frozenset(("break",))
_LEAF_ELEMENTS = frozenset(("phoneme", "sub"))


def parse_ssml(text: str, style: Style) -> list[Stretch]:
    """Return the stretches of an SSML document; raises TextError that names line and column."""
    if len(text) > MAX_CHARACTERS:
        raise TextError(
            f"the SSML has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read", code="bad_markup"
        )
    reader = _Reader(style)
    # The text is decoded already; what its declaration says of bytes is not so any more.
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    reader.attach(parser)
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise TextError(
            f"the SSML is not well-formed: {reason} at line {error.lineno}, column {error.offset + 1}",
            code="bad_markup",
        ) from error
    return reader.found


class _Reader:
    """Turns the parser's events into stretches."""

    def __init__(self, style: Style) -> None:
        self.found: list[Stretch] = []
        self._styles = [style]
        self._open: list[str] = []
        self._builder = StretchBuilder()
        self._leaf: dict[str, str] = {}
        self._leaf_text: list[str] = []
        self._parser: Any = None

    def attach(self, parser: expat.XMLParserType) -> None:
        self._parser = parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction

    def _where(self) -> str:
        return f"line {self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}"

    def _fail(self, detail: str) -> TextError:
        return TextError(f"{self._where()}: {detail}", code="bad_markup")

    def _doctype(self, *_: object) -> None:
        raise self._fail("a document type or entity declaration is not allowed")

    def _instruction(self, *_: object) -> None:
        raise self._fail("processing instructions are not allowed")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "speak":
            raise self._fail(f"the outermost element is <{shown(name)}>; it must be <speak>")
        if self._open and name == "speak":
            raise self._fail("<speak> cannot stand inside <speak>")
        if name not in _ELEMENTS:
            raise self._fail(f"<{shown(name)}> is not known; known are {', '.join(_ELEMENTS)}")
        if self._open and (self._open[-1] in _LEAF_ELEMENTS or self._open[-1] in _EMPTY_ELEMENTS):
            raise self._fail(f"<{shown(name)}> cannot stand inside <{self._open[-1]}>")
        if len(self._open) >= MAX_DEPTH:
            raise self._fail(f"elements are nested more than {MAX_DEPTH} deep")
        unknown = sorted(set(attributes) - _ELEMENTS[name])
        if unknown:
            known = ", ".join(sorted(_ELEMENTS[name]))
            raise self._fail(f"<{name}> has no attribute {shown(unknown[0])!r}; known are {known}")
        self._open.append(name)
        self._enter(name, attributes)

    def _enter(self, name: str, attributes: dict[str, str]) -> None:
        style = self._styles[-1]
        if name == "break":
            self._builder.close(self.found, style, pause_ms=self._pause(attributes))
        elif name in _LEAF_ELEMENTS:
            self._leaf = attributes
            self._leaf_text = []
        elif name in ("p", "s"):
            self._builder.close(self.found, style)
            if name == "p":
                self._end_paragraph()
        wanted = self._style(name, attributes)
        if wanted != style:
            self._builder.close(self.found, style)
        self._styles.append(wanted)

    def _style(self, name: str, attributes: dict[str, str]) -> Style:
        style, where = self._styles[-1], f"{self._where()}, <{name}>"
        if name == "voice" and "name" in attributes:
            return replace(style, voice=voice_of(attributes["name"].strip(), where))
        if name == "emotion":
            return replace(style, emotion=emotion_of(attributes.get("category", "").strip(), where))
        if name == "prosody" and "rate" in attributes:
            return replace(style, speed=_rate(attributes["rate"].strip(), where))
        return style

    def _pause(self, attributes: dict[str, str]) -> int:
        where = f"{self._where()}, <break>"
        if "time" in attributes:
            return pause_of(attributes["time"].strip(), where)
        strength = attributes.get("strength", "medium").strip()
        if strength not in _STRENGTHS:
            raise self._fail(f"the strength of a break is one of {', '.join(_STRENGTHS)}, not {shown(strength)!r}")
        return _STRENGTHS[strength]

    def _text(self, text: str) -> None:
        if self._open[-1] in _LEAF_ELEMENTS:
            self._leaf_text.append(text)
        elif self._open[-1] in _EMPTY_ELEMENTS and text.strip():
            raise self._fail("<break> cannot have text in it")
        else:
            self._builder.add(text)

    def _end(self, name: str) -> None:
        self._open.pop()
        style = self._styles.pop()
        if name in _LEAF_ELEMENTS:
            self._leave_leaf(name)
        elif name == "p":
            self._builder.close(self.found, style)
            self._end_paragraph()
        elif name == "s" or style != self._styles[-1]:
            self._builder.close(self.found, style)
        if name == "speak":
            self._builder.close(self.found, style, ends_paragraph=True)
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        if self.found:
            self.found[-1] = replace(self.found[-1], ends_paragraph=True)

    def _leave_leaf(self, name: str) -> None:
        text, where = "".join(self._leaf_text), f"{self._where()}, <{name}>"
        if name == "sub":
            if not self._leaf.get("alias", "").strip():
                raise TextError(f"{where}: the attribute alias is missing", code="bad_markup")
            self._builder.add(self._leaf["alias"])
            return
        alphabet = self._leaf.get("alphabet", "pinyin").lower()
        if alphabet not in _ALPHABETS:
            raise TextError(f"{where}: the alphabet {shown(alphabet)!r} is not known; pinyin is", code="bad_markup")
        self._builder.say(text, syllables_of(self._leaf.get("ph", "").strip(), where))


def _rate(value: str, where: str) -> float:
    if value in _RATES:
        return _RATES[value]
    percent = re.fullmatch(r"([+-]?[0-9]+(?:\.[0-9]+)?)%", value)
    if percent:
        amount = float(percent[1])
        return speed_of(str((100 + amount) / 100 if value[0] in "+-" else amount / 100), where)
    return speed_of(value, where)
