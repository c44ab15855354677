"""The documents: links that lead somewhere in the repository, a site that builds strictly and asks no other host."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
IGNORED = {".venv", "site", "var", "demo-output", "node_modules", ".git"}
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
IN_CHINESE = ("quickstart", "concepts", "api", "engines", "operations", "troubleshooting", "index")
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
"""What a browser fetches by itself."""


def texts():
    return [path for path in sorted(ROOT.rglob("*.md")) if not IGNORED & set(path.relative_to(ROOT).parts)]


def prose(path):
    """Return a text without its code, in which brackets are no links."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text("utf-8"), flags=re.DOTALL)


def anchors(path):
    """Return the anchors of a text as the usual hosts make them of its headings."""
    found = set(re.findall(r'<a id="([^"]+)"', path.read_text("utf-8")))
    without_code = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", without_code, re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path):
    broken = []
    for found in LINK.finditer(prose(path)):
        parts = urlsplit(found["target"])
        if parts.scheme:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.exists() or (
            parts.fragment and target.suffix == ".md" and unquote(parts.fragment) not in anchors(target)
        ):
            broken.append(found["target"])
    assert broken == []


@pytest.mark.parametrize("name", IN_CHINESE)
def test_a_page_that_people_start_with_exists_in_chinese(name):
    text = (ROOT / "docs" / f"{name}.zh.md").read_text("utf-8")
    if name != "index":  # its text is README.zh-CN.md
        assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 300


def test_the_command_of_every_result_is_one_that_exists():
    """Each section of the results names its command, and the command's module is there."""
    text = (ROOT / "bench" / "RESULTS.md").read_text("utf-8")
    commands = re.findall(r"^`python -m bench\.(\w+)", text, re.MULTILINE)
    assert commands
    assert [name for name in commands if not (ROOT / "bench" / f"{name}.py").is_file()] == []


# --- the site


class Fetched(HTMLParser):
    """Collects what a browser fetches by itself when it shows a page."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "link" and found.get("rel") in {"canonical", "alternate", "next", "prev"}:
            return  # told, not fetched
        if address := found.get(LOADED.get(tag, "")):
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("no mkdocs: THE SITE IS NOT BUILT; `make docs` installs it")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_site_has_every_page_in_both_languages(site):
    english = {path.relative_to(site) for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "zh"}
    chinese = {path.relative_to(site / "zh") for path in (site / "zh").rglob("*.html")}
    assert english - {Path("404.html")} == chinese
    assert {Path(f"{name}.html") for name in IN_CHINESE} <= chinese
    assert "提交" in (site / "zh" / "index.html").read_text("utf-8")


@pytest.mark.slow
def test_no_page_of_the_site_asks_another_host(site):
    foreign = {}
    for path in site.rglob("*.html"):
        page = Fetched()
        page.feed(path.read_text("utf-8"))
        elsewhere = [address for address in page.addresses if urlsplit(address).netloc]
        if elsewhere:
            foreign[str(path.relative_to(site))] = elsewhere
    assert foreign == {}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import[^;]*//[^;]*", styles) == []


@pytest.mark.slow
def test_pictures_of_the_site_are_there(site):
    missing = {}
    for path in site.rglob("*.html"):
        page = Fetched()
        page.feed(path.read_text("utf-8"))
        local = [address for address in page.addresses if not urlsplit(address).netloc and ":" not in address]
        absent = [address for address in local if not (path.parent / unquote(urlsplit(address).path)).exists()]
        if absent and path.name != "404.html":  # its addresses are absolute: it is shown under any address
            missing[str(path.relative_to(site))] = absent
    assert missing == {}
