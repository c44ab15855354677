"""What a process may take of its GPU."""

import subprocess
import sys

import pytest

from workers.recognizers import weights_limit

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
