"""`make demo`, as a newcomer runs it."""

import os
import subprocess
import sys
import wave

import pytest

from app.demo import STORY_TITLE, TEXT, same

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_demo_hears_what_it_spoke_leaves_the_files_and_no_processes(tmp_path):
    output = tmp_path / "demo-output"
    # Settings of the user's own stack must not disturb it.
    outer = {**os.environ, "VOXQUEUE_PORT": "1", "VOXQUEUE_SLOTS": "tts", "TMPDIR": str(tmp_path)}
    demo = subprocess.run(
        [sys.executable, "-m", "app.demo", "--output", output],
        check=False,
        env=outer,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
    )
    assert demo.returncode == 0, demo.stdout
    for heading in ("job", "seconds", "real-time factor", "text in", "text heard"):
        assert heading in demo.stdout
    assert same((output / "heard-speech.txt").read_text("utf-8"), TEXT)
    with wave.open(str(output / "speech.wav")) as audio:
        assert audio.getnframes() / audio.getframerate() > 3
    assert (output / f"{STORY_TITLE}.m4b").stat().st_size > 100_000
    assert list(tmp_path.glob("voxqueue*")) == [], "folders of the stack were left behind"


@pytest.mark.parametrize("heard", ["", TEXT[:-1], TEXT.replace("。", "，"), TEXT + "好"])
def test_what_was_heard_must_equal_what_was_spoken(heard):
    assert same(TEXT, TEXT.replace("。", "。\n"))
    assert not same(TEXT, heard)
