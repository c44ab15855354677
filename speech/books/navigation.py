"""The table of contents of an EPUB, version 3 (nav) or 2 (NCX), flattened in reading order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from speech.books.archive import resolve
from speech.books.tidy import tidy
from speech.books.xml import Element, name_of, parse_page, parse_xml, text_of, types_of

MAX_DEPTH = 12


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents: where it leads and how deep it lies (0 is the outermost)."""

    title: str
    page: str | None
    fragment: str
    depth: int


def read_nav(data: bytes, name: str) -> list[Entry]:
    """Read an EPUB 3 navigation document; an empty list if it has no table of contents."""
    root, _ = parse_page(data)
    if root is None:
        return []
    for nav in root.iter():
        if name_of(nav) == "nav" and "toc" in types_of(nav):
            top = next((child for child in nav.iter() if name_of(child) == "ol"), None)
            return [] if top is None else list(_nav_entries(top, name, 0))
    return []


def read_ncx(data: bytes, name: str) -> list[Entry]:
    """Read an EPUB 2 NCX document."""
    root = parse_xml(data, name)
    top = next((child for child in root.iter() if name_of(child) == "navmap"), None)
    return [] if top is None else list(_ncx_entries(top, name, 0))


def _nav_entries(listing: Element, name: str, depth: int) -> Iterator[Entry]:
    for item in listing:
        if name_of(item) != "li" or depth > MAX_DEPTH:
            continue
        label = next((child for child in item if name_of(child) in {"a", "span"}), None)
        if label is not None:
            yield _entry(tidy(text_of(label)), label.get("href"), name, depth)
        for child in item:
            if name_of(child) == "ol":
                yield from _nav_entries(child, name, depth + 1)


def _ncx_entries(parent: Element, name: str, depth: int) -> Iterator[Entry]:
    for point in parent:
        if name_of(point) != "navpoint" or depth > MAX_DEPTH:
            continue
        label = next((child for child in point if name_of(child) == "navlabel"), None)
        content = next((child for child in point if name_of(child) == "content"), None)
        title = "" if label is None else tidy(text_of(label))
        yield _entry(title, None if content is None else content.get("src"), name, depth)
        yield from _ncx_entries(point, name, depth + 1)


def _entry(title: str, reference: str | None, name: str, depth: int) -> Entry:
    target = resolve(name, reference) if reference else None
    page, fragment = target or (None, "")
    return Entry(title, page, fragment, depth)
