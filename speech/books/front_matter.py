"""The YAML block at the head of a Markdown text, with the facts of the book."""

from __future__ import annotations

import re

import yaml

from speech.books.building import Facts
from speech.books.model import Warned

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?P<yaml>.*?)\r?\n(?:---|\.\.\.)[ \t]*\r?\n", re.DOTALL)
_LONGEST = 20_000


class _Loader(yaml.BaseLoader):
    """Makes strings, lists and mappings only, and refuses aliases, a few lines of which fill any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has aliases (*name); write the value out")
        return super().compose_node(parent, index)


def take_front_matter(text: str, facts: Facts) -> str:
    """Return the text without its front matter, of which title, author and language go into ``facts``.

    What is no YAML mapping but stands between rules is text, and stays.
    """
    match = _FRONT_MATTER.match(text)
    if match is None or len(match["yaml"]) > _LONGEST:
        return text
    try:
        values = _Loader(match["yaml"]).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        facts.warnings.append(Warned("bad_front_matter", f"the front matter is not valid YAML and is ignored: {why}"))
        return text[match.end() :]
    if values is not None and not isinstance(values, dict):
        return text
    facts.title = _value(values or {}, "title")
    facts.author = _value(values or {}, "author", "authors")
    facts.language = _value(values or {}, "lang", "language")
    return text[match.end() :]


def _value(values: dict[object, object], *names: str) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return ", ".join(str(each) for each in value)
    return ""
