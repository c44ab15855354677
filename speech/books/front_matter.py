"""The YAML block at the head of a Markdown text, with the facts of the book."""

from __future__ import annotations

import re

import yaml

from speech.books.building import Facts
from speech.books.model import Warned
from speech.books.tidy import tidy

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)\r?\n(?:---|\.\.\.)[ \t]*\r?\n", re.DOTALL)
_LONGEST = 20_000
_QUOTED = 60
_FIELD = re.compile(
    r"(?:sub)?title|authors?|creator|translator|editor|lang(?:uage)?|locale|date|created|modified|published|updated|draft|"
    r"tags?|categor(?:y|ies)|keywords|topics|series|edition|volume|description|summary|abstract|excerpt|publisher|"
    r"copyright|rights|license|isbn|identifier|cover(?:-image)?|layout|permalink|slug|aliases|weight|toc|output|css|"
    r"bibliography|documentclass"
)
"""What writers of Markdown, and the tools that make pages and books of it, customarily name there."""


class _Loader(yaml.BaseLoader):
    """Makes strings, lists and mappings only, and refuses aliases, a few lines of which fill any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases (*name); write the value out")
        return super().compose_node(parent, index)


def take_front_matter(text: str, facts: Facts) -> str:
    """Return the text without its front matter, of which title, author and language go into ``facts``.

    What stands between rules and is YAML, but no mapping, is text and stays. A mapping without any customary field,
    and what is not valid YAML, goes with a warning that quotes it: it may have been text.
    """
    match = _FRONT_MATTER.match(text)
    if match is None or len(match["yaml"]) > _LONGEST:
        return text
    try:
        values = _Loader(match["yaml"]).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        facts.warnings.append(_not_read(match["yaml"], f"it is not valid YAML: {why}"))
        return text[match.end() :]
    if values is not None and not isinstance(values, dict):
        return text
    named = {str(name).casefold(): value for name, value in (values or {}).items()}
    if match["yaml"].strip() and not any(map(_FIELD.fullmatch, named)):
        facts.warnings.append(_not_read(match["yaml"], "it has no customary field, such as title, author or date"))
    facts.title = _value(named, "title")
    facts.author = _value(named, "author", "authors")
    facts.language = _value(named, "lang", "language")
    return text[match.end() :]


def _not_read(block: str, why: str) -> Warned:
    beginning = tidy(block)
    quoted = beginning if len(beginning) <= _QUOTED else beginning[:_QUOTED] + "…"
    cure = "if it is text, write *** in place of --- around it"
    return Warned("bad_front_matter", f"“{quoted}” is taken for front matter and not read; {why}; {cure}")


def _value(values: dict[str, object], *names: str) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return ", ".join(str(each) for each in value)
    return ""
