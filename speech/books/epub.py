"""EPUB 2 and 3: the package, its pages in reading order, its table of contents, its cover."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from speech.books.archive import Archive, resolve
from speech.books.building import Facts, build
from speech.books.errors import BookError
from speech.books.model import Book, Warned
from speech.books.navigation import Entry, read_nav, read_ncx
from speech.books.page import Page, read_page
from speech.books.pictures import is_picture
from speech.books.starts import drafts_of
from speech.books.xml import Element, parse_xml, text_of

FONT_OBFUSCATION = frozenset({"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"})
LEFT_OUT_TYPES = {
    "cover": "cover page",
    "titlepage": "title page",
    "halftitlepage": "title page",
    "copyright-page": "copyright page",
    "toc": "table of contents",
    "doc-toc": "table of contents",
    "landmarks": "table of contents",
    "index": "index",
    "doc-index": "index",
    "loi": "list of illustrations",
    "lot": "list of tables",
}


@dataclass(frozen=True)
class _Item:
    name: str
    media_type: str
    properties: frozenset[str]


@dataclass
class _Package:
    """What the package document says."""

    facts: Facts
    items: Mapping[str, _Item]
    spine: list[_Item]
    ncx: str | None
    nav: str | None
    covers: list[str]
    cover_pages: list[str] = field(default_factory=list)


def read_epub(path: Path) -> Book:
    """Read an EPUB. Raises :class:`~speech.books.errors.BookError`; lesser trouble becomes a warning of the book."""
    with Archive(path) as archive:
        _refuse_encrypted(archive)
        package = _package(archive)
        entries = _contents(archive, package)
        pages = _pages(archive, package)
        package.facts.cover = _cover(archive, package, pages)
    drafts, warnings = drafts_of(pages, entries, _reasons(package, pages))
    package.facts.warnings.extend(warnings)
    return build(drafts, package.facts)


def _refuse_encrypted(archive: Archive) -> None:
    name = "META-INF/encryption.xml"
    if archive.find(name) is None:
        return
    root = parse_xml(archive.read(name), name)
    for data in root.iter("{*}EncryptedData"):
        methods = {each.get("Algorithm") for each in data.iter("{*}EncryptionMethod")}
        if not methods <= FONT_OBFUSCATION:
            reference = next((each.get("URI") for each in data.iter("{*}CipherReference")), "its content")
            raise BookError(
                f"the book is encrypted (DRM): {reference} cannot be read; send a copy without copy protection",
                code="encrypted_book",
            )


def _package(archive: Archive) -> _Package:
    name = _package_name(archive)
    root = parse_xml(archive.read(name), name)
    facts = Facts(title=_meta(root, "title"), author=_author(root), language=_meta(root, "language"))
    items: dict[str, _Item] = {}
    for item in root.iter("{*}item"):
        target = resolve(name, item.get("href") or "")
        if target is None:
            _warn_outside(facts, item.get("href") or "")
            continue
        properties = frozenset((item.get("properties") or "").split())
        page = archive.find(target[0]) or target[0]
        items[item.get("id") or target[0]] = _Item(page, item.get("media-type") or "", properties)
    spine_element = next(root.iter("{*}spine"), None)
    spine, hidden = _spine(spine_element, items)
    if hidden:
        facts.warnings.append(Warned("not_linear", f"{hidden} pages outside of the reading order are not read"))
    ncx_id = spine_element.get("toc") if spine_element is not None else None
    ncx = next((i for i in items.values() if i.media_type == "application/x-dtbncx+xml"), None)
    named = items.get(ncx_id or "") or ncx
    by_meta = [
        items[m.get("content", "")]
        for m in root.iter("{*}meta")
        if m.get("name") == "cover" and m.get("content") in items
    ]
    covers = [item for item in items.values() if "cover-image" in item.properties] + by_meta
    guide = [
        resolve(name, r.get("href") or "")
        for r in root.iter("{*}reference")
        if (r.get("type") or "").lower() == "cover"
    ]
    return _Package(
        facts=facts,
        items=items,
        spine=spine,
        ncx=named.name if named else None,
        nav=next((item.name for item in items.values() if "nav" in item.properties), None),
        covers=[item.name for item in covers],
        cover_pages=[target[0] for target in guide if target is not None],
    )


def _package_name(archive: Archive) -> str:
    container = "META-INF/container.xml"
    if archive.find(container) is not None:
        for rootfile in parse_xml(archive.read(container), container).iter("{*}rootfile"):
            target = resolve("", rootfile.get("full-path") or "")
            if target is not None and archive.find(target[0]) is not None:
                return target[0]
    found = next((name for name in archive.names if name.lower().endswith(".opf")), None)
    if found is None:
        raise BookError("the zip file holds no EPUB package (.opf); is it really an EPUB?", code="not_a_book")
    return found


def _spine(spine: Element | None, items: Mapping[str, _Item]) -> tuple[list[_Item], int]:
    """Return the pages in reading order, each once, and how many lie outside of it."""
    if spine is None:
        return [item for item in items.values() if "html" in item.media_type], 0
    listed: dict[str, _Item] = {}
    hidden = 0
    for reference in spine.iter("{*}itemref"):
        item = items.get(reference.get("idref") or "")
        if item is None:
            continue
        if (reference.get("linear") or "yes").lower() == "no":
            hidden += 1
        else:
            listed.setdefault(item.name, item)
    return list(listed.values()), hidden


def _meta(root: Element, name: str) -> str:
    found = next((each for each in root.iter("{http://purl.org/dc/elements/1.1/}" + name)), None)
    return "" if found is None else text_of(found).strip()


def _author(root: Element) -> str:
    creators = [each for each in root.iter("{http://purl.org/dc/elements/1.1/}creator") if text_of(each).strip()]
    role = "{http://www.idpf.org/2007/opf}role"
    authors = [each for each in creators if each.get(role) in {None, "aut"}] or creators
    return ", ".join(text_of(each).strip() for each in authors)


def _contents(archive: Archive, package: _Package) -> list[Entry]:
    """Return the table of contents: of EPUB 3, else of EPUB 2, else nothing."""
    entries: list[Entry] = []
    try:
        if package.nav is not None and archive.find(package.nav) is not None:
            entries = read_nav(archive.read(package.nav), package.nav)
        if not entries and package.ncx is not None and archive.find(package.ncx) is not None:
            entries = read_ncx(archive.read(package.ncx), package.ncx)
    except BookError as error:
        if error.code != "not_a_book":
            raise
        package.facts.warnings.append(Warned("bad_contents", f"the table of contents is not used: {error}"))
    return [replace(entry, page=entry.page and (archive.find(entry.page) or entry.page)) for entry in entries]


def _pages(archive: Archive, package: _Package) -> dict[str, Page]:
    """Read the pages of the spine, by name, in order; notes that lie on pages of their own are dropped."""
    pages: dict[str, Page] = {}
    warnings = package.facts.warnings
    for item in package.spine:
        found = archive.find(item.name)
        if found is None:
            warnings.append(Warned("missing_page", f"{item.name} is listed in the book but not there", item.name))
            continue
        if "svg" in item.media_type or item.media_type.startswith("image/"):
            pages[item.name] = Page(skips=[(0, "images")])
            continue
        pages[item.name] = read_page(archive.read(found))
        if pages[item.name].declared_entities:
            warnings.append(
                Warned("entities_ignored", f"{item.name} declares entities of its own; they are ignored", item.name)
            )
    _drop_notes_elsewhere(pages)
    return pages


def _drop_notes_elsewhere(pages: Mapping[str, Page]) -> None:
    notes: dict[str, set[str]] = {}
    noted: dict[str, set[str]] = {}  # where the marks of a page lead: from there, they only lead back
    for name, linking in pages.items():
        for link in linking.note_links:
            target = None if link.startswith("#") else resolve(name, link)
            if target is not None and target[0] != name and name not in noted.get(target[0], ()):
                notes.setdefault(target[0], set()).add(target[1])
                noted.setdefault(name, set()).add(target[0])
    for name, anchors in notes.items():
        if name in pages:
            pages[name].drop_notes(anchors)


def _cover(archive: Archive, package: _Package, pages: Mapping[str, Page]) -> bytes | None:
    """Return the cover picture: as declared, or the first picture of the cover page."""
    names = list(package.covers)
    first = next(iter(pages), None)
    for name in [*package.cover_pages, *([first] if first else [])]:
        page = pages.get(name)
        if page is not None and page.first_image and (name in package.cover_pages or not page.blocks):
            target = resolve(name, page.first_image)
            names.extend([target[0]] if target else [])
    for name in names:
        if archive.find(name) is None:
            continue
        data = archive.read(name)
        if is_picture(data):
            return data
        package.facts.warnings.append(
            Warned("bad_cover", f"the cover {posixpath.basename(name)} is neither JPEG nor PNG and is left out", name)
        )
    return None


def _reasons(package: _Package, pages: Mapping[str, Page]) -> dict[str, str]:
    """Say why whole pages are not read, where they are not."""
    typed = {name: sorted(page.types & LEFT_OUT_TYPES.keys()) for name, page in pages.items()}
    reasons = {name: LEFT_OUT_TYPES[types[0]] for name, types in typed.items() if types}
    return reasons if package.nav is None else reasons | {package.nav: "table of contents"}


def _warn_outside(facts: Facts, reference: str) -> None:
    facts.warnings.append(
        Warned("outside_reference", f"{reference[:200]} lies outside of the book and is not read", reference[:200])
    )
