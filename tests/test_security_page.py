"""The page about security names the test of each claim: they exist."""

import ast
import re
from pathlib import Path

import celeryconfig

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")


def test_every_test_and_module_that_the_page_names_exists():
    tests = set(re.findall(r"`((?:[\w/]+/)?test_\w+\.py)`", PAGE))
    modules = set(re.findall(r"`((?:app|jobs|speech|workers|bench)/[\w/]+\.\w+)`", PAGE)) - tests
    assert len(tests) > 20
    assert [name for name in tests if not (ROOT / "tests" / name).is_file()] == []
    assert [name for name in modules if not (ROOT / name).is_file() and name not in tests] == []


def test_the_page_says_what_is_not_defended_and_how_to_report():
    titles = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert "What is not defended" in titles
    assert "Reporting a hole" in titles


def calls():
    """Yield every call in the program: the name of what is called, its keywords, its place."""
    for room in ("app", "jobs", "workers", "speech"):
        for path in (ROOT / room).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(call, ast.Call):
                    keywords = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
                    yield ast.unparse(call.func), keywords, f"{path.relative_to(ROOT)}:{call.lineno}"


def test_nothing_is_unpickled_and_no_text_is_run():
    forbidden = re.compile(
        r"(c?pickle|dill|marshal|shelve|joblib)\.(loads?|open|Unpickler)|eval|exec|os\.system|os\.popen"
    )
    wrong = []
    for name, keywords, place in calls():
        bad = (
            forbidden.fullmatch(name)
            or (name == "torch.load" and keywords.get("weights_only") is not True)
            or (name in {"np.load", "numpy.load"} and keywords.get("allow_pickle") is not False)
            or name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}
            or keywords.get("shell") is True
        )
        wrong += [f"{place}: {name}"] if bad else []
    assert wrong == []


def test_celery_takes_json_and_nothing_else():
    assert celeryconfig.accept_content == ["json"]
    assert celeryconfig.task_serializer == "json"
    assert celeryconfig.task_ignore_result is True, "results do not go through it at all"
