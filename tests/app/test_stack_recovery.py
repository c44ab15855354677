"""What a stack finds on its disk after a crash or an update: a damaged log, an older ledger."""

import os
from contextlib import ExitStack

import pytest
from click.testing import CliRunner

from app.cli import main
from app.stack import Stack, StackError
from app.stack.aof import find_damage
from app.stack.environment import without_settings
from jobs.connect import connect
from jobs.ledger import SCHEMA_VERSION

pytestmark = pytest.mark.e2e
COUNT = 300


@pytest.fixture
def make_stack(tmp_path):
    """Make stacks of nothing but Valkey, on one folder; what is left is stopped after the test."""
    (tmp_path / "Procfile").write_text("web: exec sleep 1000\n")
    with ExitStack() as exits:

        def make():
            outer = without_settings(os.environ) | {"VOXQUEUE_SLOTS": "", "VOXQUEUE_APPENDFSYNC": "always"}
            stack = Stack(tmp_path / "data", procfile_path=tmp_path / "Procfile", outer=outer)
            exits.callback(stack.stop)
            return stack

        yield make


@pytest.fixture
def crashed(make_stack, tmp_path):
    """Give the append-only file of a stack that was cut off after `COUNT` writes."""
    stack = make_stack()
    stack.start()
    client = connect(stack.redis_url)
    for number in range(COUNT):
        client.set(f"k{number}", "v" * 50)
    stack.stop_now()
    [file] = (tmp_path / "data" / "valkey" / "appendonlydir").glob("*.incr.aof")
    return file


def keys_after_start(stack):
    with stack:
        return sum(1 for _ in connect(stack.redis_url).scan_iter("k*"))


def test_a_whole_file_is_found_whole(crashed):
    assert find_damage(crashed.parents[1]) is None


def test_a_command_that_was_cut_off_is_dropped(crashed, make_stack):
    os.truncate(crashed, crashed.stat().st_size - 7)
    assert keys_after_start(make_stack()) == COUNT - 1


def test_zeros_at_the_end_are_cut_off_and_a_copy_is_kept(crashed, make_stack):
    whole = crashed.read_bytes()
    crashed.write_bytes(whole + bytes(5000))
    assert keys_after_start(make_stack()) == COUNT
    [copy] = crashed.parent.glob("*.damaged-*")
    assert copy.read_bytes() == whole + bytes(5000)


def test_a_damaged_middle_is_told_with_its_place_and_mended_on_demand(crashed, make_stack, tmp_path):
    whole = crashed.read_bytes()
    middle = len(whole) // 2
    crashed.write_bytes(whole[:middle] + bytes(500) + whole[middle + 500 :])
    with pytest.raises(StackError, match=r"incr.aof makes no sense after \d+ bytes; \d+ bytes follow. `voxqueue mend`"):
        make_stack().start()
    mended = CliRunner().invoke(main, ["mend", "--data-dir", str(tmp_path / "data")])
    assert mended.exit_code == 0, mended.output
    assert COUNT // 3 < keys_after_start(make_stack()) < COUNT * 2 // 3
    again = CliRunner().invoke(main, ["mend", "--data-dir", str(tmp_path / "data")])
    assert "can be read to its end" in again.output


def test_nobody_mends_under_a_running_stack(make_stack, tmp_path):
    with make_stack():
        refused = CliRunner().invoke(main, ["mend", "--data-dir", str(tmp_path / "data")])
    assert (refused.exit_code, "in use by another stack" in refused.output) == (1, True)


def test_an_older_ledger_is_migrated_before_anybody_uses_it(make_stack):
    with make_stack() as stack:
        connect(stack.redis_url).set("vq:schema", 1)
    with make_stack() as stack:
        assert connect(stack.redis_url).get("vq:schema") == str(SCHEMA_VERSION)


def test_a_newer_ledger_is_refused(make_stack):
    with make_stack() as stack:
        connect(stack.redis_url).set("vq:schema", SCHEMA_VERSION + 1)
    with pytest.raises(StackError, match="newer than this program"):
        make_stack().start()


def test_the_command_migrates_a_server_of_ones_own(redis, redis_url, monkeypatch):
    from jobs.settings import settings

    monkeypatch.setenv("VOXQUEUE_REDIS_URL", redis_url)
    settings.cache_clear()
    for version, code, said in (
        (1, 0, f"from version 1 to {SCHEMA_VERSION}"),
        (SCHEMA_VERSION, 0, "Nothing"),
        (SCHEMA_VERSION + 1, 1, "newer"),
    ):
        redis.set("vq:schema", version)
        found = CliRunner().invoke(main, ["migrate"])
        assert (found.exit_code, said in found.output) == (code, True), found.output
    settings.cache_clear()
