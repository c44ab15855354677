"""Parsing XML and XHTML of strangers: no DTD, no entity of theirs, no network, bounded depth."""

from __future__ import annotations

import codecs
import html.entities
import re

from lxml import etree
from lxml import html as lxml_html

from speech.books.errors import BookError

Element = etree._Element  # noqa: SLF001 - lxml exports its element type under no other name

_DOCTYPE = re.compile(r"<!DOCTYPE", re.IGNORECASE)
_SUBSET_END = re.compile(r"\]\s*>")
PROLOGUE = 10_000
"""Characters at the start of a document in which its type is looked for."""
_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)["']""")
_META_CHARSET = re.compile(rb"""<meta[^>]*charset\s*=\s*["']?([\w.-]+)""", re.IGNORECASE)
_TEXT_ENCODINGS = re.compile(
    r"(?:utf[-_]?(?:8|16|32)|gb|hz|big5|cp\d|windows-\d|iso[-_]?8859|latin|koi8|mac|s(?:hift)?[-_]?jis|euc|(?:us-)?ascii)",
    re.IGNORECASE,
)
"""Python knows others that are no encodings of books (punycode, unicode_escape), and take minutes for a page."""
_ENTITY = re.compile(r"&([A-Za-z][\w.-]*);")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_TAG = re.compile(r"<([A-Za-z][\w:-]*+)([^<>]*+)>")
_VOID = frozenset("br hr img input link meta area base col wbr source track".split())  # noqa: SIM905 - as in the standard
_KEPT_ENTITIES = {"amp", "lt", "gt", "quot", "apos"}


def parse_xml(data: bytes, name: str) -> Element:
    """Parse a well-formed XML document. Raises :class:`BookError` naming the file if it is not."""
    try:
        return _strict(prepared(data)[0])
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BookError(f"{name} is not well-formed XML: {error}", code="not_a_book") from error


def parse_page(data: bytes) -> tuple[Element | None, bool]:
    """Parse a page of a book, XHTML or, if it is not well formed, HTML as browsers do.

    Returns the root (None if nothing is left) and whether the page declared entities of its own, which are dropped.
    """
    text, declared = prepared(data)
    try:
        return _strict(text), declared
    except (etree.XMLSyntaxError, ValueError):
        pass
    spelled_out = _TAG.sub(_closed, text)
    try:
        parser = lxml_html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
        return lxml_html.document_fromstring(spelled_out, parser=parser), declared
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None, declared


def prepared(data: bytes) -> tuple[str, bool]:
    """Decode a document, resolve HTML's named entities, and take off its declaration and document type."""
    text = _FORBIDDEN.sub("", _decoded(data))
    text = _DECLARATION.sub("", text, count=1)
    text, declared = _without_doctype(text)
    return _ENTITY.sub(_resolved, text).strip(), declared


def _without_doctype(text: str) -> tuple[str, bool]:
    """Take the document type off, and tell whether it declared anything. Linear, whatever the text holds."""
    begin = _DOCTYPE.search(text, 0, PROLOGUE)
    if begin is None:
        return text, False
    end = text.find(">", begin.end())
    subset = text.find("[", begin.end(), end if end >= 0 else len(text))
    if subset >= 0:
        closing = _SUBSET_END.search(text, subset)
        return text[: begin.start()] + (text[closing.end() :] if closing else ""), True
    return text[: begin.start()] + (text[end + 1 :] if end >= 0 else ""), False


def _closed(match: re.Match[str]) -> str:
    """Spell out ``<a id="x"/>``, which would stay open in HTML."""
    name, rest = match[1], match[2]
    if not rest.endswith("/") or name.lower() in _VOID:
        return match[0]
    return f"<{name}{rest[:-1]}></{name}>"


def _strict(text: str) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return etree.fromstring(text, parser)


def _resolved(match: re.Match[str]) -> str:
    name = match[1]
    return match[0] if name in _KEPT_ENTITIES else html.entities.html5.get(name + ";", "")


def _decoded(data: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    named = _ENCODING.match(data[:1024]) or _META_CHARSET.search(data[:4096])
    names = [named[1].decode("ascii")] if named and _TEXT_ENCODINGS.match(named[1].decode("ascii")) else []
    for encoding in [*names, "utf-8", "gb18030"]:
        # A page that calls itself GB2312 is nearly always its superset.
        wanted = "gb18030" if encoding.lower() in {"gb2312", "gbk", "gb_2312-80"} else encoding
        try:
            return data.decode(wanted)
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("utf-8", errors="replace")


def name_of(element: Element) -> str:
    """Return the local name in lower case; empty for what is no element (an entity, a comment)."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def text_of(element: Element) -> str:
    """Return all text inside an element."""
    return "".join(str(part) for part in element.itertext())


def attribute(element: Element, name: str) -> str | None:
    """Return an attribute by its local name, whatever its namespace."""
    wanted = name.lower()
    return next(
        (str(value) for key, value in element.attrib.items() if re.split("[}:]", str(key))[-1].lower() == wanted), None
    )


def types_of(element: Element) -> frozenset[str]:
    """Return the structural types of an element: ``epub:type`` and ``role``."""
    found = f"{attribute(element, 'type') or ''} {element.get('role') or ''}"
    return frozenset(found.lower().split())


def classes_of(element: Element) -> frozenset[str]:
    """Return the style classes of an element."""
    return frozenset((element.get("class") or "").lower().split())


def word_set(words: str) -> frozenset[str]:
    """Return the words of a string as a set."""
    return frozenset(words.split())
