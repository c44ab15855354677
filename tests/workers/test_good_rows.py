"""How wide a batch may be."""

import pytest

from jobs.settings import Settings
from workers.recognizers import RecognizerEngine
from workers.voices import CPU_ROWS, VoiceEngine


@pytest.mark.parametrize(
    ("device", "wanted", "threads", "rows"),
    [
        ("cuda", 64, 1, 64),
        ("cpu", 64, 1, CPU_ROWS),
        ("cpu", 64, 4, 4 * CPU_ROWS),
        ("cpu", 4, 4, 4),
        ("cpu", 64, 99, 64),
    ],
)
def test_on_a_cpu_a_batch_is_no_wider_than_its_cores_gain_by(device, wanted, threads, rows):
    """Who is in a hurry waits for the end of the running batch."""
    assert VoiceEngine(Settings(device=device, tts_batch_rows=wanted)).good_rows(threads) == rows


@pytest.mark.parametrize(
    ("device", "wanted", "threads", "rows"),
    [("cuda", 64, 1, 64), ("cpu", 64, 2, 8), ("cpu", 64, 1, 4), ("cpu", 2, 2, 2)],
)
def test_so_is_a_batch_of_chunks_and_a_gpu_has_what_is_set(device, wanted, threads, rows):
    assert RecognizerEngine(Settings(device=device, stt_batch_rows=wanted), threads).good_rows() == rows
