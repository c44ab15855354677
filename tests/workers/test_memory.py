"""What a process may take of its GPU."""

import gc
import os
import re
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest

from app.stack import procfile
from jobs.settings import Settings
from speech.tts import graphs
from speech.tts.decoding import Buffers
from workers.recognizers import weights_limit
from workers.voices import WARM_UP_SYMBOLS, VoiceEngine

ROOT = Path(__file__).parents[2]
GIB = 2**30


@pytest.mark.parametrize(
    ("wanted", "share", "device", "limit"),
    [
        (0, 1.0, 24 * GIB, 0),
        (0, 0.5, 24 * GIB, 12 * GIB),
        (4 * GIB, 0.5, 24 * GIB, 4 * GIB),
        (20 * GIB, 0.5, 24 * GIB, 12 * GIB),
        (4 * GIB, 0.5, 0, 4 * GIB),
        (4 * GIB, 1.0, 24 * GIB, 4 * GIB),
    ],
)
def test_weights_stay_within_what_is_wanted_and_within_the_share(wanted, share, device, limit):
    assert weights_limit(wanted, share, device) == limit


def test_what_an_engine_let_go_goes_back_to_the_kernel_when_it_is_unloaded():
    line = procfile.read(ROOT / "Procfile")["worker_stt"]
    script = (
        "import numpy as np\n"
        "from workers.memory import resident_bytes, trim_heap\n"
        "blocks = [np.ones(5_000_000) for _ in range(10)]; end = np.ones(1000)\n"
        "del blocks; kept = resident_bytes(); trim_heap()\n"
        "print(kept, resident_bytes())\n"
    )
    environment = dict(os.environ) | dict(re.findall(r"(MALLOC_\w+)=(\S+)", line))
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )
    kept, left = map(int, done.stdout.split())
    assert kept > 400_000_000, "it is kept for the next batch"
    assert left < kept - 300_000_000


def test_what_decoder_graphs_hold_goes_back_after_running_out_of_memory(monkeypatch):
    """Emptying PyTorch's cache would not do: a graph's memory is its own. A CPU captures none: buffers stand in."""
    made = []

    def buffers(*size):
        kept = Buffers(*size)
        made.append(weakref.ref(kept))
        return kept

    monkeypatch.setattr(graphs, "GraphedBuffers", buffers)
    engine = VoiceEngine(Settings(tts_voice="demo", device="cpu"))
    engine.load()
    [voice] = engine._voices.values()
    voice._acoustic.buffer_source = graphs.GraphedSource()
    before = voice.render([WARM_UP_SYMBOLS])
    assert made
    assert all(kept() is not None for kept in made), "for the next batch"
    engine.trim()
    gc.collect()
    assert all(kept() is None for kept in made)
    after = voice.render([WARM_UP_SYMBOLS])
    assert np.array_equal(before[0].durations, after[0].durations)


def test_a_recogniser_on_a_cpu_loads_and_unloads_without_pytorch():
    """It would take a second and some hundred megabytes for nothing."""
    script = (
        "import sys\n"
        "from jobs.settings import Settings\n"
        "from workers.recognizers import RecognizerEngine\n"
        "engine = RecognizerEngine(Settings(stt_model='demo', device='cpu'), threads=1)\n"
        "engine.load(); engine.unload()\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=120).returncode == 0
