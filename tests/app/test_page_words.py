"""The words of the web page: the same ones in both languages, and one for every place that wants one."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "app/static/page"
TEMPLATES = PAGE.parents[1] / "templates"


def words(language):
    return set(re.findall(r'^  "?([\w.-]+)"?: ', (PAGE / f"words/{language}.js").read_text("utf-8"), re.MULTILINE))


def test_both_languages_have_the_same_words():
    assert words("en") == words("zh")
    assert len(words("en")) > 150


def test_every_word_that_a_template_or_a_script_names_exists(client):
    page = client.get("/").text
    wanted = set(re.findall(r'data-t(?:-[a-z-]+)?="([\w.-]+)"', page))
    for script in PAGE.glob("*.js"):
        wanted |= set(re.findall(r'\b(?:t|label|tip): "([a-z]+\.[\w.-]+)"', script.read_text("utf-8")))
    assert wanted - words("en") == set()
    assert {"listen.folder", "job.reused.why"} <= wanted
