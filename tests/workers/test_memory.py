"""What a process may take of its GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.stack import procfile
from workers.recognizers import weights_limit

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
