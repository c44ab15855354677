"""The real worker, whose engine breaks on command: the speed of a sentence says how.

It also writes down every sentence that it begins (tests/e2e/counting_app.py) and, in a file beside that one, the
beginning and the end of every batch by the machine's clock.
"""

import os
import signal
import threading
import time
from pathlib import Path

from tests.e2e.counting_app import app
from workers.voices import VoiceEngine

__all__ = ["app"]

KILLS, HANGS, BREAKS_CUDA, SLOW = 0.771, 0.772, 0.773, 0.774
SLOW_ROW_SECONDS = 2
render = VoiceEngine.run


def run(engine, payloads):
    speeds = {row.line.speed for row in payloads}
    if KILLS in speeds:
        os.kill(os.getpid(), signal.SIGKILL)
    if HANGS in speeds:
        threading.Event().wait()
    if BREAKS_CUDA in speeds:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    begun = time.monotonic()
    for row in render(engine, payloads):
        time.sleep(SLOW_ROW_SECONDS if SLOW in speeds else 0)
        yield row
    with Path(os.environ["VOXQUEUE_TEST_SPOKEN"] + ".batches").open("a") as file:
        file.write(f"{begun} {time.monotonic()}\n")


VoiceEngine.run = run
