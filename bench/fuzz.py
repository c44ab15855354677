"""Hostile input by the thousand: requests by the OpenAPI document, and bytes for the parsers.

`python -m bench.fuzz --cases 10000` sends requests to the real web process (bench/fuzz_api.py).
The exit code is 0 only if nothing was found.
"""

import argparse
import sys
import time

from bench import fuzz_api


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=0, help="requests in all")
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    failed = False
    if asked.cases:
        begun = time.monotonic()
        with fuzz_api.world() as found:
            tallies = fuzz_api.fuzz(found, asked.cases, asked.seed, asked.only)
        print(fuzz_api.table(tallies))
        print(fuzz_api.stories(tallies))
        print(f"{time.monotonic() - begun:.0f} s, seed {asked.seed}")
        failed = any(tally.failures for tally in tallies.values())
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
