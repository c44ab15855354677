"""The list of problems: what the code can answer is what the documents say, code by code."""

import ast
import re
from pathlib import Path

import pytest

from app.codes import CODES, table
from app.problems import FROM_WERKZEUG, STATUS
from app.unread import FROM_GUNICORN
from jobs.errors import JobsError
from tests.app.problems import assert_problem

ROOT = Path(__file__).parents[2]
RAISED = {kind.__name__: status for kind, status in STATUS.items()}
INSIDE = {
    "input_not_found": "a worker finds no recording at a path of the inputs' store; the job fails",
    "parent_gone": "a worker submits children of a parent that has just ended",
    "store_unknown": "stops the start",
}
"""No client sees these."""


def argument(call, place, name):
    """Return the constant that a call has at a place or under a name."""
    given = [*call.args[place : place + 1], *(word.value for word in call.keywords if word.arg == name)]
    return given[0].value if given and isinstance(given[0], ast.Constant) else None


def raised():
    """Yield status, code and place of every refusal that the two rooms of the web process write out."""
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "jobs").rglob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
            where = f"{path.relative_to(ROOT)}:{call.lineno}"
            if name in {"Refusal", "problem"} and path.parts[-2:] != ("jobs", "ledger.py"):
                yield argument(call, 0, "status"), argument(call, 1, "code"), where
            elif name == "of_field":
                yield argument(call, 9, "status") or 422, argument(call, 9, "code") or "invalid_request", where
            elif name in RAISED:
                yield RAISED[name], argument(call, 0, "code"), where


def test_every_problem_that_the_code_can_answer_is_listed_with_its_status():
    wrong = [
        f"{where}: {status} {code}"
        for status, code, where in raised()
        if code is not None and code not in INSIDE and (code not in CODES or status not in {None, *CODES[code][0]})
    ]
    assert wrong == [], "add them to app/codes.py"


def test_every_listed_problem_is_one_that_the_code_can_answer():
    made = {code for _, code, _ in raised()} | {"bad_request", *FROM_WERKZEUG.values(), *FROM_GUNICORN.values()}
    assert set(CODES) - made == set()


def test_every_kind_of_refusal_has_a_status_or_never_reaches_a_client():
    inside = {"LeaseLost", "SchemaMismatch", "FetchError"}
    assert {kind.__name__ for kind in JobsError.__subclasses__()} - inside <= set(RAISED)


def test_the_page_of_the_api_has_the_list():
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    shown = text.partition("<!-- problems -->")[2].partition("<!-- /problems -->")[0]
    assert shown.strip() == table(), "paste the output of `python -m app.codes` between the marks in docs/api.md"


def test_the_type_of_a_problem_leads_to_its_meaning(client):
    page = client.get("/docs").text
    assert set(re.findall(r'id="problem-(\w+)"', page)) == set(CODES)
    assert_problem(client.get("/v1/jobs/none"), 404, "job_not_found")


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("get", "/nope", "not_found"), ("put", "/v1/jobs", "method_not_allowed"), ("get", "/v1/jobs/x/y", "not_found")],
)
def test_what_the_framework_refuses_is_listed_too(client, method, path, code):
    answer = getattr(client, method)(path)
    assert_problem(answer, CODES[code][0][0], code)
