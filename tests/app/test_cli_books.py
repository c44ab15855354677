"""`voxqueue book`: what it saves, what it refuses, and how it ends."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from jobs.answers import NewJob
from jobs.ids import child_id
from jobs.states import Kind
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(server, redis, tmp_path, monkeypatch):
    """Run a command in a folder with a book of two chapters; gives its result."""
    (tmp_path / "a.md").write_text("# 一\n\n话说。\n\n# 二\n\n再说。", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("VOXQUEUE_URL", f"http://127.0.0.1:{server}")
    monkeypatch.delenv("VOXQUEUE_API_KEY", raising=False)
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


def program(*arguments):
    """Start the program beside the test."""
    command = [sys.executable, "-c", "from app.cli import main; main()", "-q", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def submitted(run, *options):
    return json.loads(run("--json", "book", "a.md", *options, "--no-wait").stdout)


def test_a_book_without_some_chapter_is_saved_and_ends_with_exit_code_1(run, server_hand, tmp_path):
    parent = submitted(run)["id"]
    with program("book", "a.md", "-o", "a.m4b") as process:
        assert "going on" in process.stderr.readline()
        claim = server_hand.claim(parent)
        failed, spoken = (child_id(parent, index) for index in (1, 2))
        for index, chapter in enumerate((failed, spoken), 1):
            server_hand.ledger.submit(NewJob(chapter, Kind.CHAPTER, "tts", 7, "", "{}", parent=parent, index=index))
        server_hand.ledger.wait_for_children(claim)
        server_hand.fail(failed)
        server_hand.succeed(spoken)
        server_hand.succeed(parent, [("a.m4b", "audio/mp4", b"M4B")])
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "without 1 of its chapters" in said
    assert (tmp_path / "a.m4b").read_bytes() == b"M4B"
    assert run("watch", parent).exit_code == 1


def test_a_plan_is_not_saved_as_the_book(run, server_hand, tmp_path):
    """Who adds --plan to the command of a book keeps the book that is there."""
    (tmp_path / "a.m4b").write_text("mine")
    with program("--json", "book", "a.md", "--plan", "-o", "a.m4b") as process:
        end = time.monotonic() + PATIENCE
        while not (found := run("--json", "jobs").stdout):
            assert time.monotonic() < end
            time.sleep(0.05)
        server_hand.succeed(json.loads(found)["id"], [("plan.json", "application/json", b"{}")])
        assert process.wait(PATIENCE) == 0
    assert (tmp_path / "a.m4b").read_text() == "mine"


def test_the_dictionary_is_read_as_the_operators_is(run, tmp_path):
    (tmp_path / "words").write_text("重庆\tchong2 qing4  # a city\nOpen Sesame\tOW1\n#\n行长 hang2 zhang3\n", "utf-8")
    words = {"重庆": "chong2 qing4", "Open Sesame": "OW1", "行长": "hang2 zhang3"}
    assert submitted(run, "--dictionary", "words")["input"]["dictionary"] == words
    (tmp_path / "words").write_text("重庆 chong2 qing4", "gb18030")
    result = run("book", "a.md", "--dictionary", "words")
    assert (result.exit_code, "words is not UTF-8" in result.stderr) == (1, True)
