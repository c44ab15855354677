"""The examples of the documents, run as they stand against the real stack: every block under `<!-- example -->`."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = re.compile(r"<!-- example -->\n```(?P<language>bash|python)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
DOCUMENTED = "http://127.0.0.1:8000"
PAGES = {"README.md": 2, "docs/quickstart.md": 3, "docs/api.md": 4}
"""How many examples each page has at least: a block that loses its mark is not tested any more."""
TRANSLATED = {
    "README.zh-CN.md": "README.md",
    "docs/quickstart.zh.md": "docs/quickstart.md",
    "docs/api.zh.md": "docs/api.md",
}
SECONDS = 240

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def examples(page):
    return [(found["language"], found["code"]) for found in EXAMPLE.finditer((ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize("page", PAGES)
def test_no_example_lost_its_mark(page):
    assert len(examples(page)) >= PAGES[page]


def without_comments(code):
    return re.sub(r"\s*(?<!\S)#.*", "", code).replace(" ", "")


@pytest.mark.parametrize(("translated", "page"), TRANSLATED.items())
def test_a_translation_has_the_same_examples_with_other_comments(translated, page):
    theirs, ours = examples(translated), examples(page)
    assert [without_comments(code) for _, code in theirs] == [without_comments(code) for _, code in ours]


@pytest.mark.parametrize(
    ("page", "number"), [(page, number) for page in PAGES for number in range(len(examples(page)))]
)
def test_an_example_runs_as_it_stands(page, number, stack, tmp_path):
    language, code = examples(page)[number]
    if "curl " in code and shutil.which("curl") is None:
        pytest.skip("no curl: EXAMPLES OF THE DOCUMENTS ARE NOT RUN; apt install curl")
    assert "8000" in code or "voxqueue " in code, "it talks to no server"
    (tmp_path / "models").symlink_to(ROOT / "models")  # examples are run in the folder of the repository
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VOXQUEUE_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "VOXQUEUE_URL": stack.url,
        "XDG_CONFIG_HOME": str(tmp_path),
        "no_proxy": "127.0.0.1",
    }
    # curl's errors count, as they would for a reader: an answer of 4xx is no success.
    prelude = 'set -euo pipefail\ncurl() { command curl --fail-with-body --max-time 120 "$@"; }\n'
    script = code.replace(DOCUMENTED, stack.url)
    command = ["bash", "-c", prelude + script] if language == "bash" else [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, f"{page}, example {number + 1}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
