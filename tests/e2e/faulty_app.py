"""The real worker, whose engine breaks on command: the speed of a sentence says how."""

import os
import signal
import threading

from workers.app import app
from workers.voices import VoiceEngine

__all__ = ["app"]

KILLS, HANGS, BREAKS_CUDA = 0.771, 0.772, 0.773
render = VoiceEngine.run


def run(engine, payloads):
    speeds = {row.line.speed for row in payloads}
    if KILLS in speeds:
        os.kill(os.getpid(), signal.SIGKILL)
    if HANGS in speeds:
        threading.Event().wait()
    if BREAKS_CUDA in speeds:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return render(engine, payloads)


VoiceEngine.run = run
