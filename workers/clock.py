"""Time as the threads of a worker see it, so that tests can give another."""

import threading
import time


class Clock:
    """Time and waiting; tests give a clock of their own."""

    def now(self) -> float:
        """Seconds, from any start, never going back."""
        return time.monotonic()

    def wait(self, condition: threading.Condition, seconds: float | None) -> None:
        """Wait on a held condition until it is notified or the seconds have passed."""
        condition.wait(seconds)
