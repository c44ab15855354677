"""Where the chapters of an EPUB begin: where its contents lead to, or else at the headings of its pages."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence

from speech.books.building import NOT_READ, Draft
from speech.books.model import Warned
from speech.books.navigation import Entry
from speech.books.page import Block, Page
from speech.books.tidy import bare_title

Starts = dict[str, dict[int, list[Entry]]]
"""The lines of the contents by page, and by the block before which their chapter begins."""


def drafts_of(
    pages: Mapping[str, Page], entries: Sequence[Entry], reasons: Mapping[str, str]
) -> tuple[list[Draft], list[Warned]]:
    """Cut the pages, in reading order, into chapters; ``reasons`` says why whole pages are not read.

    Returns the chapters, and a warning for each line of the contents whose place could not be found.
    """
    starts, warnings = _starts(pages, entries)
    own = _cut_by_their_headings(pages, starts, reasons)
    drafts: list[Draft] = []
    for name, page in pages.items():
        here, reason = starts.get(name, {}), reasons.get(name)
        if name in own:
            drafts.extend(_by_headings(page, reason))
            continue
        if not drafts or reason is not None or (_unread(drafts[-1]) and not here.get(0)):
            drafts.append(Draft(title="" if reason is None else page.title, left_out=reason))
        skipped = page.skipped()
        for index in range(len(page.blocks) + 1):
            drafts.extend(Draft(title=entry.title, depth=entry.depth, left_out=reason) for entry in here.get(index, ()))
            if index < len(page.blocks):
                drafts[-1].blocks.append((page.blocks[index].text, page.blocks[index].level))
            drafts[-1].skipped.update(skipped.get(index, {}))
    return drafts, warnings


def _unread(draft: Draft) -> bool:
    """Tell whether a chapter is not read; such a one ends with its page, lest it take others with it."""
    return draft.left_out is not None or NOT_READ.fullmatch(draft.title.strip()) is not None


def _cut_by_their_headings(pages: Mapping[str, Page], starts: Starts, unread: Collection[str]) -> frozenset[str]:
    """Return the pages whose own headings make the chapters: all of them without contents.

    Contents that lead to a single page that is read (“Start”, “Cover”) name a way in, and not the chapters. What then
    begins with a heading is cut by it, unless the contents themselves cut the page in several.
    """
    if not starts:
        return frozenset(pages)
    named = {name: [entry for each in here.values() for entry in each] for name, here in starts.items()}
    read = [name for name, each in named.items() if not all(NOT_READ.fullmatch(entry.title) for entry in each)]
    read = [name for name in read if name not in unread]
    headed = {name for name, page in pages.items() if page.blocks and page.blocks[0].level and name not in unread}
    if len(read) > 1 or headed <= named.keys():
        return frozenset()
    return frozenset(name for name in headed if name not in named or (name in read and len(named[name]) == 1))


def _starts(pages: Mapping[str, Page], entries: Sequence[Entry]) -> tuple[Starts, list[Warned]]:
    """Say before which block of which page each line of the contents begins its chapter."""
    starts: Starts = {}
    lost: list[Entry] = []
    places = {name: _Places(pages[name]) for name in {entry.page for entry in entries} & pages.keys() if name}
    waiting: list[Entry] = []  # heads of parts that lead nowhere begin with what follows them
    for entry in entries:
        if entry.page is None or entry.page not in places:
            waiting.append(entry)
            continue
        at = places[entry.page].of(entry)
        if at is None:
            lost.append(entry)
            continue
        starts.setdefault(entry.page, {}).setdefault(at, []).extend([*waiting, entry])
        waiting = []
    return starts, [_lost(entry) for entry in [*lost, *waiting]]


class _Places:
    """Where the chapters of a page begin, asked for line by line of the contents."""

    def __init__(self, page: Page) -> None:
        self._anchors = dict.fromkeys(page.anchors_at_end, len(page.blocks))
        self._headings: dict[str, deque[int]] = {}
        for index, block in reversed([*enumerate(page.blocks)]):
            self._anchors.update(dict.fromkeys(block.anchors, index))
            if block.level:
                self._headings.setdefault(bare_title(block.text), deque()).appendleft(index)
        self._taken: dict[int, int] = {}  # block to the depth of the last line that begins there

    def of(self, entry: Entry) -> int | None:
        """Return the block before which a line's chapter begins; None if that is not known."""
        at = self._anchors.get(entry.fragment) if entry.fragment else self._top()
        if at is None:
            at = self._heading(entry.title)
        if at is None and (not self._taken or self._is_first_of_part(entry)):
            at = 0
        if at is not None:
            self._taken[at] = entry.depth
        return at

    def _top(self) -> int | None:
        return None if 0 in self._taken else 0

    def _heading(self, title: str) -> int | None:
        """Find the next heading that says the same and that no other line leads to."""
        same = self._headings.get(bare_title(title), deque())
        while same:
            at = same.popleft()
            if at not in self._taken:
                return at
        return None

    def _is_first_of_part(self, entry: Entry) -> bool:
        """Tell whether a line leads to the same page as the line of its part, and is the first that does."""
        return not entry.fragment and len(self._taken) == 1 and self._taken.get(0, entry.depth) < entry.depth


def _lost(entry: Entry) -> Warned:
    place = f"{entry.page}{'#' if entry.fragment else ''}{entry.fragment}" if entry.page else "outside of the book"
    why = f"its place ({place}) is not there, or is that of another line"
    return Warned(
        "lost_place", f"the line “{entry.title}” of the contents begins no chapter: {why}", entry.title or None
    )


def _by_headings(page: Page, reason: str | None) -> list[Draft]:
    """Chapters of a page that no contents name: the page, or its parts at its highest repeated heading."""
    levels = Counter(block.level for block in page.blocks if block.level)
    cut = next((level for level in sorted(levels) if levels[level] > 1), None)
    skipped = page.skipped()
    drafts = [Draft(left_out=reason, skipped=Counter() if page.blocks else skipped.get(0, Counter()))]
    for index, block in enumerate(page.blocks):
        if cut is not None and block.level == cut and _has_text(drafts[-1], block):
            drafts.append(Draft(left_out=reason))
        drafts[-1].blocks.append((block.text, block.level))
        drafts[-1].skipped.update(skipped.get(index, {}))
    return drafts


def _has_text(draft: Draft, block: Block) -> bool:
    return any(level == 0 or level >= block.level for _, level in draft.blocks)
