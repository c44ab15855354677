"""The documents: links that lead somewhere in the repository, a site that builds strictly and asks no other host."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

import app.factory  # noqa: F401 - first, or the operations find themselves half imported
from app.cli import main as cli
from app.operations import OPERATIONS
from jobs.settings import Settings
from jobs.specs import AudiobookSpec, STTSpec, TTSSpec

ROOT = Path(__file__).parents[1]
IGNORED = {".venv", "site", "var", "demo-output", "node_modules", ".git"}
LINK = re.compile(r"!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
ENGLISH_ONLY = {"sambert-hifigan", "results", "demo-models", "changelog"}
"""A specification, and what is generated or belongs to a folder elsewhere."""
PAGES = {
    str(path.relative_to(ROOT / "docs"))[:-3]: path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if not path.name.endswith(".zh.md") and path.stem not in ENGLISH_ONLY
} | {"index": ROOT / "README.md", "contributing": ROOT / "CONTRIBUTING.md"}
"""The pages that exist in both languages, and where the English text of each is."""
LISTS = {"index": "settings", "api": "problems", "metrics": "metrics"}
"""Pages with a table that is generated from the code, and the mark around it."""
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


# --- the two languages


def both(name):
    """Return a page's text in English and in Chinese."""
    chinese = ROOT / "README.zh-CN.md" if name == "index" else ROOT / "docs" / f"{name}.zh.md"
    return PAGES[name].read_text("utf-8"), chinese.read_text("utf-8")


def without_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def tables(text):
    """Return the tables of a text: rows of cells, each without its first and last bar."""
    found = re.findall(r"(?:^\|.*\|$\n?)+", without_code(text), re.MULTILINE)
    return [[re.split(r"(?<!\\) \| ", row.strip("| ")) for row in table.splitlines()] for table in found]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_the_same_parts_in_both_languages(name):
    english, chinese = both(name)
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) > 200
    levels = [re.findall(r"^(#+) ", without_code(text), re.MULTILINE) for text in (english, chinese)]
    assert levels[1] == levels[0]
    assert [len(table) for table in tables(chinese)] == [len(table) for table in tables(english)]
    assert chinese.count("\n* ") == english.count("\n* ")
    assert chinese.count("```") == english.count("```")


@pytest.mark.parametrize(("name", "mark"), LISTS.items())
def test_what_is_generated_in_english_is_complete_in_chinese(name, mark):
    """All but the last column, the meaning, is the same."""
    lists = [text.partition(f"<!-- {mark} -->")[2].partition(f"<!-- /{mark} -->")[0] for text in both(name)]
    [english], [chinese] = map(tables, lists)
    assert [row[:-1] for row in chinese[2:]] == [row[:-1] for row in english[2:]]


def test_guarantees_have_the_same_figures_and_commands_in_both_languages():
    def guarantees(text):
        [found] = [table for table in tables(text) if any("bench.chaos" in cell for row in table for cell in row)]
        return [(sorted(re.findall(r"\d[\d.,]*\d|\d", row[1])), re.findall(r"`([^`]+)`", row[2])) for row in found[2:]]

    english, chinese = map(guarantees, both("index"))
    assert chinese == english


def test_chinese_pages_lead_to_chinese_pages():
    wrong = []
    for path in [ROOT / "README.zh-CN.md", *(ROOT / "docs").rglob("*.zh.md")]:
        for found in LINK.finditer(prose(path)):
            target = (path.parent / urlsplit(found["target"]).path).resolve()
            if target.suffix == ".md" and (ROOT / "docs") in target.parents and not target.name.endswith(".zh.md"):
                wrong += [f"{path.name}: {found['target']}"] if target.with_suffix(".zh.md").exists() else []
    assert wrong == []


def test_the_page_about_security_names_the_same_tests_in_both_languages():
    english, chinese = (set(re.findall(r"`([\w/]+\.(?:py|lua))`", text)) for text in both("security"))
    assert chinese == english


@pytest.mark.parametrize("language", [0, 1], ids=["english", "chinese"])
def test_the_page_of_the_api_names_every_call_and_every_option(language):
    text = both("api")[language]
    options = {name for spec in (TTSSpec, STTSpec, AudiobookSpec) for name in spec.model_fields}
    calls = {"/" + each.path.rsplit("/", 1)[1].replace("{id}", "ID").replace("{name}", "NAME") for each in OPERATIONS}
    assert sorted(name for name in options if f"`{name}`" not in text) == []
    assert sorted(call for call in calls if call not in text) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    {
        "text-front-end": ("约3/4的人", "800", "好吗", "emotion_happy"),
        "questions": (" s", "房子里住着三个孩子和一只小猫。", "请打开书，看第十三页。"),
    }.items(),
)
@pytest.mark.parametrize("ending", [".md", ".zh.md"])
def test_an_example_of_the_library_runs_as_it_stands(name, said, ending):
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / (name + ending)).read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [word for word in said if word not in done.stdout] == []


OF_OTHERS = {"VOXQUEUE_API_KEY", "VOXQUEUE_URL"} | set(
    re.findall(
        r"\bVOXQUEUE_\w+", "".join((ROOT / name).read_text("utf-8") for name in ("docker-compose.yml", "Procfile"))
    )
)
"""Variables of the command line, of containers and of workers, which are no settings."""


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_and_settings_that_a_text_names_exist(path):
    text = path.read_text("utf-8")
    settings = {f"VOXQUEUE_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\b(VOXQUEUE_[A-Z_]*[A-Z])\b(?!_?…)", text))
    commands = set(re.findall(r"(?:^|[`'$#]) ?voxqueue ([a-z]+)\b", text, re.MULTILINE))
    assert sorted(named - settings - OF_OTHERS) == []
    assert sorted(commands - set(cli.list_commands(click.Context(cli)))) == []


# --- the results


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


def article(path):
    """Return what a page of the site says, without what is around it."""
    return path.read_text("utf-8").partition("<article")[2].partition("</article>")[0]


@pytest.mark.slow
def test_the_site_has_every_page_in_both_languages(site):
    english = {path.relative_to(site) for path in site.rglob("*.html") if path.relative_to(site).parts[0] != "zh"}
    chinese = {path.relative_to(site / "zh") for path in (site / "zh").rglob("*.html")}
    assert english - {Path("404.html")} == chinese
    untranslated = [
        name for name in PAGES if not re.search("[\u4e00-\u9fff]{9}", article(site / "zh" / f"{name}.html"))
    ]
    assert untranslated == []


@pytest.mark.slow
def test_no_chinese_sentence_is_cut_by_a_blank_where_a_line_ends(site):
    wide = "[\u3001-\u301f\u4e00-\u9fff\uff01-\uff5e]"
    shown = {
        path.stem: re.sub(r"<pre.*?</pre>", "", article(path), flags=re.DOTALL) for path in (site / "zh").glob("*.html")
    }
    cut = {name: found for name, text in shown.items() if (found := re.findall(rf".{{9}}{wide}\n{wide}.{{9}}", text))}
    assert cut == {}


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
