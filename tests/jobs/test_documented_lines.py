"""The files of lines in the documents are what the program takes, in both languages."""

import io
import re
from pathlib import Path

import pytest

from jobs.batch_lines import tasks
from jobs.lines import CSV, JSONL
from jobs.manifests import wanted

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["api.md", "api.zh.md"])
def test_the_examples_of_manifests_and_batches_are_good(page):
    text = (DOCS / page).read_text("utf-8")
    tables = [block.encode() for block in re.findall(r"```csv\n(.*?)```", text, re.DOTALL)]
    [batch] = [block.encode() for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) if "custom_id" in block]
    manifest, table = tables
    found = [
        *wanted(io.BytesIO(manifest), CSV),
        *tasks(io.BytesIO(batch), JSONL, 100),
        *tasks(io.BytesIO(table), CSV, 100),
    ]
    assert len(found) == 8
    assert [line.problem for line in found if line.problem] == []
