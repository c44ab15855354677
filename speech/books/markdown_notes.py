"""Footnotes of Markdown, ``text[^1]`` and ``[^1]: note``: neither is read, both are counted where they stand."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

_MARK = re.compile(r"\[\^[^\[\]\s]+\]")
_NOTE = re.compile(r"\[\^[^\[\]\s]+\]:")
_INDENT = 2
"""Columns by which the further lines of a note are set in."""


def count_notes(parser: MarkdownIt) -> None:
    """Make the parser give tokens ``note`` and ``note_mark`` in place of notes and their marks."""
    parser.block.ruler.before("reference", "note", _note, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.before("link", "note_mark", _mark)


def without_marks(text: str) -> tuple[str, int]:
    """Return a text without the marks, and how many there were."""
    return _MARK.subn("", text)


def _note(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:  # noqa: FBT001 - called by markdown-it
    begin = state.bMarks[start_line] + state.tShift[start_line]
    if state.is_code_block(start_line) or not _NOTE.match(state.src, begin, state.eMarks[start_line]):
        return False
    if silent:
        return True
    line = start_line + 1
    while line < end_line and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent + _INDENT:
        line += 1
    state.line = line
    state.push("note", "", 0)
    return True


def _mark(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - called by markdown-it
    # The silent run looks for the end of a link's text, in which a mark would be taken for a forbidden second link.
    match = None if silent else _MARK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    state.push("note_mark", "", 0)
    state.pos = match.end()
    return True
