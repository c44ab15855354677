"""Whether a worker process still lives, as others on its machine see it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.registry import FORGOTTEN_SECONDS, Registry
from workers.identity import identity, is_dead


def identity_of_another_process():
    """Start a process that prints its identity and waits; returns both."""
    code = "from workers.identity import identity; print(identity('tts-cpu@here'), flush=True); input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    return process, process.stdout.readline().strip()


def test_a_process_is_alive_until_it_has_ended_even_as_a_zombie():
    process, its = identity_of_another_process()
    assert its != identity("tts-cpu@here")
    assert not is_dead(its)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie from now on
    assert is_dead(its)
    process.wait()
    assert is_dead(its)


@pytest.mark.parametrize(
    "foreign",
    ["tts@host", "tts@host#", "tts@host#other-boot:1:1", "tts@host#other-boot:notanumber:1"],
)
def test_nothing_is_said_of_processes_elsewhere(foreign):
    assert not is_dead(foreign)


def test_the_same_number_at_another_time_is_another_process():
    own = identity("w")
    assert not is_dead(own)
    assert is_dead(own.rpartition(":")[0] + ":1")


def test_processes_are_noted_left_and_forgotten(redis):
    registry = Registry(redis)
    redis.zadd("vq:processes", {"long-gone": 1})
    registry.enter_process("w1")
    registry.enter_process("w2")
    assert registry.processes() == {"w1", "w2"}
    assert redis.zscore("vq:processes", "w1") > FORGOTTEN_SECONDS
    registry.leave_process("w1")
    assert registry.processes() == {"w2"}
