# ruff: noqa: INP001 - mkdocs loads this file by its path
"""What the site needs beyond `docs/`: pages that live elsewhere in the repository, and links that fit both places.

Documents link to each other by their paths in the repository, so that they can be read there. On the site a link to
one of `ELSEWHERE` leads to its page, and one to any other file of the repository is told as the path that it is. The
file in `docs/` of such a page only says where its text is.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ELSEWHERE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/RESULTS.md": "results.md",
    "models/demo/README.md": "demo-models.md",
    "README.md": "index.md",
    "README.zh-CN.md": "index.zh.md",
}
"""Files of the repository that are pages of the site."""
SOURCES = {page: source for source, page in ELSEWHERE.items()}
HOMES = {"index.md": "index.zh.md", "index.zh.md": "index.md"}
"""The first page of each language, and of the other one."""
LINK = re.compile(r"(?P<bang>!?)\[(?P<text>[^\]]*)\]\((?P<path>[^)#\s:]*)(?P<anchor>#[^)\s]*)?\)")
LANGUAGE = re.compile(r"\.zh\.md$")
WIDE = "\u2014\u2018-\u201d\u2026\u3000-\u303f\u4e00-\u9fff\uff00-\uffef"
"""Chinese characters and punctuation."""
BROKEN_LINE = re.compile(rf"(?<=[{WIDE}])\n(?=[{WIDE}])")
CODE = re.compile(r"(<pre.*?</pre>)", re.DOTALL)


def on_page_read_source(page: Any, **_: Any) -> str | None:
    """Give the text of a page that lives elsewhere; None: it lies in `docs/`, as usual."""
    source = SOURCES.get(page.file.src_uri)
    return (ROOT / source).read_text("utf-8") if source else None


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Turn paths of the repository into paths of the site."""
    here, language = page.file.src_uri, config.plugins["i18n"].current_language
    return LINK.sub(lambda found: rewritten(found, here, language), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Join the lines of Chinese paragraphs: a browser shows their ends as blanks, which Chinese has not."""
    parts = CODE.split(html)
    return "".join(part if part.startswith("<pre") else BROKEN_LINE.sub("", part) for part in parts)


def rewritten(found: re.Match[str], page: str, language: str) -> str:
    """Return a link of a page as the site in a language needs it."""
    path, anchor = found["path"], found["anchor"] or ""
    if not path:
        return found[0]
    folder = posixpath.dirname(SOURCES.get(page, f"docs/{page}"))
    target = posixpath.normpath(posixpath.join(folder, path))
    if page in HOMES and target == SOURCES[HOMES[page]]:
        # From one language to the other: no path of the documents says that.
        return f'<a href="{"zh/" if page == "index.md" else "../"}index.html">{found["text"]}</a>'
    if target in ELSEWHERE:
        inside = ELSEWHERE[target]
    elif target.startswith("docs/"):
        inside = target.removeprefix("docs/")
        if (ROOT / target).is_dir():
            inside = f"{inside}/index.md"
    else:
        return f"{found['text']} (`{target}`)"
    # The page of the reader's own language is chosen by the site. A page that exists in English only does not know
    # the headings of a translated one: then the link leads to its beginning.
    inside = LANGUAGE.sub(".md", inside)
    if language == "zh" and not LANGUAGE.search(page) and (ROOT / "docs" / inside).with_suffix(".zh.md").exists():
        anchor = ""
    relative = posixpath.relpath(inside, posixpath.dirname(page) or ".")
    return f"{found['bang']}[{found['text']}]({relative}{anchor})"
