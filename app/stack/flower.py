"""Flower, started as the settings say: `python -m app.stack.flower`.

Its page is open to whoever reaches it unless it has a password, so without one it listens on loopback only.
"""

from __future__ import annotations

import logging
import os
from ipaddress import ip_address

from jobs.settings import Settings, settings

LOGGER = logging.getLogger("voxqueue.flower")
LOOPBACK = "127.0.0.1"
SAVE_MILLISECONDS = 5000
MAX_TASKS = 100_000
"""Jobs that Flower remembers; some 2 KB each."""


def command(config: Settings) -> tuple[list[str], dict[str, str]]:
    """Return Flower's command, and its password as a variable, where `ps` does not show it."""
    password = config.flower_basic_auth
    address = config.host if password else LOOPBACK
    if address != config.host and not is_loopback(config.host):
        LOGGER.warning("Flower stays on %s: set VOXQUEUE_FLOWER_BASIC_AUTH=user:password to open it", LOOPBACK)
    words = [
        *("celery", "-A", "workers.app", "flower"),
        f"--address={address}",
        f"--port={config.flower_port}",
        "--persistent=True",
        f"--db={config.data_dir / 'flower'}",
        f"--state_save_interval={SAVE_MILLISECONDS}",
        f"--max_tasks={MAX_TASKS}",
        f"--logging={config.log_level.lower()}",
    ]
    return words, {"FLOWER_BASIC_AUTH": password} if password else {}


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches `host`."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main() -> None:
    """Become Flower."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    words, variables = command(settings())
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    os.environ.update(variables)
    os.execvp(words[0], words)  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
