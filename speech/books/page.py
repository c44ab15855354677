"""From a page of a book to the blocks that are read aloud, and a count of what is not."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from speech.books.notes import BLOCKS, is_mark, is_note, links_of_marks
from speech.books.tidy import tidy
from speech.books.xml import Element, attribute, classes_of, name_of, parse_page, text_of, types_of, word_set

SILENT = word_set(
    "head script style template noscript math object embed iframe audio video canvas form select button rt rp rtc title"
)
COUNTED = {"img": "images", "image": "images", "svg": "images", "figure": "images", "table": "tables", "pre": "code"}
PAGE_TYPES = word_set("pagebreak doc-pagebreak page-list doc-pagelist")
PAGE_CLASSES = word_set("pagenum pagenumber page-number pageno pagebreak page-break")
SILENT_TYPES = word_set("toc landmarks loi lot doc-toc backlink doc-backlink")
_HIDING = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))\b", re.IGNORECASE)
"""A style that hides an element. Style sheets are not followed: it is not known for which readers their rules are."""


@dataclass(frozen=True)
class Block:
    """A paragraph or heading; ``level`` is 1–6 for headings, else 0; ``anchors`` are the ids at or before its text."""

    text: str
    level: int = 0
    anchors: tuple[str, ...] = ()


@dataclass
class Page:
    """The blocks of a page, its ``<title>``, the structural types of its body, and what was skipped.

    ``skips`` are (the block that holds it or comes before it, what it is); see ``skipped`` for what it may be.
    ``note_links`` is where its footnote marks lead, ``anchors_at_end`` the ids after its last block, ``unread_anchors``
    those of blocks that are not read.
    """

    blocks: list[Block] = field(default_factory=list)
    title: str = ""
    types: frozenset[str] = frozenset()
    skips: list[tuple[int, str]] = field(default_factory=list)
    note_links: frozenset[str] = frozenset()
    anchors_at_end: tuple[str, ...] = ()
    unread_anchors: set[str] = field(default_factory=set)
    first_image: str | None = None
    declared_entities: bool = False

    def skipped(self) -> dict[int, Counter[str]]:
        """Count what is not read (see :class:`~speech.books.model.Chapter`), by block."""
        counts: dict[int, Counter[str]] = {}
        for index, reason in self.skips:
            counts.setdefault(index, Counter())[reason] += 1
        return counts

    def drop_notes(self, anchors: set[str]) -> None:
        """Take out the blocks to which footnote marks of other pages lead."""
        begun = anchors - self.unread_anchors  # what follows a note that is left out already is none
        kept: list[Block] = []
        now: list[int] = []
        for index, block in enumerate(self.blocks):
            if begun.intersection(block.anchors):
                self.skips.append((index, "footnotes"))
            else:
                kept.append(block)
            now.append(max(0, len(kept) - 1))
        self.blocks = kept
        self.skips = [(now[index] if now else 0, reason) for index, reason in self.skips]


def read_page(data: bytes) -> Page:
    """Read an XHTML or HTML page into blocks. Never raises on bad markup: what can be read is."""
    root, declared = parse_page(data)
    page = Page(declared_entities=declared)
    if root is None:
        return page
    page.note_links = links_of_marks(root)
    for element in root.iter():
        name = name_of(element)
        if name == "title" and not page.title:
            page.title = tidy(text_of(element))
        if name == "body":
            page.types = types_of(element).union(*map(types_of, element))
            break
    _Reader(page).read(root)
    return page


class _Reader:
    """Walks the tree with a stack of its own, so that depth costs no recursion."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._notes = frozenset(link[1:] for link in page.note_links if link.startswith("#"))
        self._parts: list[str] = []
        self._anchors: list[str] = []
        self._skips: list[str] = []
        self._level = 0

    def read(self, root: Element) -> None:
        todo: list[tuple[Element, bool]] = [(root, True)]
        while todo:
            element, opening = todo.pop()
            if not opening:
                self._close(element)
            elif self._open(element):
                todo.append((element, False))
                todo.extend((child, True) for child in reversed(element))
        self._flush()
        self._page.anchors_at_end = tuple(self._anchors)

    def _open(self, element: Element) -> bool:
        """Begin an element; tell whether its content is read. The text after a skipped one is taken here."""
        name = name_of(element)
        self._note_anchor(element, name)
        if name in {"img", "image"} and self._page.first_image is None:
            self._page.first_image = element.get("src") or attribute(element, "href")
        reason = self._silence(element, name)
        if reason is not None:
            self._skip(element, name, reason)
            return False
        if name == "br":
            self._break()
        elif name in BLOCKS:
            self._flush()
            if re.fullmatch(r"h[1-6]", name):
                self._level = int(name[1])
        self._parts.append(element.text or "")
        return True

    def _close(self, element: Element) -> None:
        if name_of(element) in BLOCKS:
            self._flush()
            self._level = 0
        self._parts.append(element.tail or "")

    def _skip(self, element: Element, name: str, reason: str) -> None:
        inner = [anchor for each in element.iterdescendants() if (anchor := _anchor(each))]
        if name in BLOCKS or name == "table":
            self._flush()
            self._page.unread_anchors.update(inner, filter(None, [_anchor(element)]))
        if reason:
            self._skips.append(reason)
        self._anchors.extend(inner)  # the contents may lead into it: to what follows, then
        for image in element.iter("{*}img", "{*}image"):
            self._page.first_image = self._page.first_image or image.get("src") or attribute(image, "href")
        self._parts.append(element.tail or "")

    def _silence(self, element: Element, name: str) -> str | None:
        """Return why an element is not read (empty: not worth counting), or None if it is."""
        types = types_of(element)
        if is_note(element, self._notes):
            return "footnotes"
        if is_mark(element):
            return "footnote_marks"
        if types & PAGE_TYPES or classes_of(element) & PAGE_CLASSES:
            return "page_numbers" if text_of(element).strip() or element.get("title") else ""
        if name in COUNTED:
            return COUNTED[name]
        if name in SILENT or types & SILENT_TYPES or not name:
            return ""
        return _hiding(element)

    def _note_anchor(self, element: Element, name: str) -> None:
        anchor = _anchor(element)
        if anchor:
            if name in BLOCKS:
                self._flush()  # the id of a block belongs to what follows, not to what is still open
            self._anchors.append(anchor)

    def _break(self) -> None:
        if self._level:
            self._parts.append(" ")
        else:
            self._flush()

    def _flush(self) -> None:
        text = tidy("".join(self._parts))
        self._parts.clear()
        at = len(self._page.blocks) if text else max(0, len(self._page.blocks) - 1)
        self._page.skips.extend((at, reason) for reason in self._skips)
        self._skips.clear()
        if text:
            self._page.blocks.append(Block(text, self._level, tuple(self._anchors)))
            self._anchors.clear()


def _anchor(element: Element) -> str | None:
    return element.get("id") or (element.get("name") if name_of(element) == "a" else None)


def _hiding(element: Element) -> str | None:
    """Return ``hidden`` for an element that readers do not show (empty if it holds no text), else None."""
    marked = element.get("hidden") is not None or (element.get("aria-hidden") or "").lower() == "true"
    if not marked and _HIDING.search(element.get("style") or "") is None:
        return None
    return "hidden" if text_of(element).strip() else ""
