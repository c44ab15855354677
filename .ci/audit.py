"""Looks for known holes in what is installed, where the list of them can be reached.

Without a network it says so after a few seconds and is content: `make check` must not hang or fail for want of one.
The exit code is 1 only for a package with a known hole.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import urllib.request
from importlib import metadata

PROBE = f"https://pypi.org/pypi/flask/{metadata.version('flask')}/json"
PROBE_SECONDS = 3
SECONDS = 60
ACCEPTED: dict[str, str] = {}
"""IDs of holes that do not concern us, each with the reason."""


def main() -> int:
    """Audit, and say what came of it."""
    if why := _unreachable():
        return _not_done(f"the list of known holes cannot be reached ({why})")
    command = [
        sys.executable, "-m", "pip_audit", "--local", "--skip-editable",
        "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
        packages = json.loads(ended.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _not_done(f"the list of known holes did not answer within {SECONDS} s")
    except ValueError:
        return _not_done(f"pip-audit failed: {ended.stderr.strip()[-500:]}")
    unknown = [package["name"] for package in packages if "skip_reason" in package and package["name"] != "voxqueue"]
    looked_at = len(packages) - len(unknown) - 1
    holes = [
        f"{package['name']} {package['version']}: {hole['id']}, mended in {hole['fix_versions'] or 'no release'}"
        for package in packages
        for hole in package.get("vulns", [])
        if hole["id"] not in ACCEPTED
    ]
    for hole in holes:
        print(hole)
    if not looked_at:
        return _not_done("the list knows none of the packages here")
    missed = f"; NOT AUDITED, the list has them not: {', '.join(unknown)}" if unknown else ""
    print(f"audit: {looked_at} packages, {len(holes)} known holes{missed}")
    return 1 if holes else 0


def _unreachable() -> str | None:
    """Return why the list cannot be reached. A silent name server would take longer than a connection may."""
    answers: queue.Queue[str | None] = queue.Queue()

    def ask() -> None:
        try:
            urllib.request.urlopen(PROBE, timeout=PROBE_SECONDS).close()
        except (OSError, ValueError) as error:
            answers.put(str(error))
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=2 * PROBE_SECONDS)
    except queue.Empty:
        return f"no answer within {2 * PROBE_SECONDS} s"


def _not_done(why: str) -> int:
    print(f"*** THE DEPENDENCIES WERE NOT AUDITED: {why}. Run `make audit` where there is a network. ***")
    return 0


if __name__ == "__main__":
    sys.exit(main())
