"""Which elements of a page are footnote marks, and where they lead."""

from __future__ import annotations

import re
from itertools import islice

from speech.books.xml import Element, classes_of, name_of, text_of, types_of, word_set

BLOCKS = word_set(
    "p div h1 h2 h3 h4 h5 h6 li ul ol dl dt dd blockquote section article main body pre hr header footer address "
    "figure figcaption tr td th caption details summary center aside nav html"
)
"""Elements that begin a new paragraph."""
NOTE_TYPES = word_set("footnote footnotes endnote endnotes rearnote rearnotes doc-footnote doc-endnote doc-endnotes")
NOTE_CLASSES = word_set("footnote footnotes endnotes duokan-footnote-content duokan-footnote-item")
MARK_TYPES = word_set("noteref doc-noteref")
MARK_CLASSES = word_set("noteref footnoteref footnote-ref duokan-footnote")
LONGEST_MARK = 12
LOOK_BACK = 50
"""Elements before or around a mark that are looked at for a text, or for being its note."""
_MARK = re.compile(
    r"[\[［(（【〔{]?\s*(?:\d{1,4}|[a-z]|[*†‡§¶]{1,4}|[①-⓿❶-➓]|[注註]\s*[\d一二三四五六七八九十]*)\s*[\]］)）】〕}]?",
    re.IGNORECASE,
)


def is_mark(element: Element) -> bool:
    """Tell whether an element is a footnote mark such as ``<sup><a href="#n1">[1]</a></sup>``."""
    if types_of(element) & MARK_TYPES:
        return True
    if name_of(element) not in {"a", "sup"}:
        return False
    link = _link(element)
    leads = link is not None and "#" in (link.get("href") or "")
    if leads and link is not None and (classes_of(element) | classes_of(link)) & MARK_CLASSES:
        return True
    text = _short_text(element)
    if text is None or not _MARK.fullmatch(text):
        return False
    raised = any(name_of(each) == "sup" for each in element.iter())
    bracketed = not text[:1].isalnum()
    return (leads and (raised or bracketed)) or (raised and bracketed and len(text) > 1)


def is_note(element: Element, targets: frozenset[str]) -> bool:
    """Tell whether a block holds the text of a note: by its type, its class, or because a mark leads to it."""
    if types_of(element) & NOTE_TYPES or classes_of(element) & NOTE_CLASSES:
        return True
    if not targets or name_of(element) not in {"p", "li", "aside", "div", "dd", "dt"}:
        return False
    if element.get("id") in targets:
        return True
    first = next((child for child in element if name_of(child)), None)
    return first is not None and not (element.text or "").strip() and first.get("id") in targets


def links_of_marks(root: Element) -> frozenset[str]:
    """Collect where the footnote marks of a page lead.

    A mark that begins its paragraph, or that lies where an earlier one leads, is the way back from a note, so where it
    leads is no note.
    """
    found: set[str] = set()
    for element in root.iter("{*}a", "{*}sup"):
        link = _link(element)
        if link is None or "#" not in (link.get("href") or "") or not is_mark(element) or _begins_block(element):
            continue
        if not any(f"#{each.get('id')}" in found for each in islice(element.iterancestors(), LOOK_BACK)):
            found.add(str(link.get("href")))
    return frozenset(found)


def _link(element: Element) -> Element | None:
    return next((each for each in element.iter() if name_of(each) == "a"), None)


def _short_text(element: Element) -> str | None:
    """Return the text of an element that may be a mark; None if it is too long for one."""
    text = ""
    for part in element.itertext():
        text += str(part).strip()
        if len(text) > LONGEST_MARK:
            return None
    return text


def _begins_block(element: Element) -> bool:
    around = element
    for _ in range(LOOK_BACK):
        before = around.getprevious()
        if before is not None:
            if (before.tail or "").strip() or text_of(before).strip():
                return False
            around = before
            continue
        parent = around.getparent()
        if parent is None:
            return True
        if (parent.text or "").strip():
            return False
        if name_of(parent) in BLOCKS:
            return True
        around = parent
    return False
