"""Hostile input by the thousand: requests by the OpenAPI document, and bytes for the parsers.

`python -m bench.fuzz --cases 10000` sends requests to the real web process (bench/fuzz_api.py).
`python -m bench.fuzz --parsers 100000` gives so many inputs to each parser (bench/fuzz_parsers.py), slow ones fewer.
The exit code is 0 only if nothing was found.
"""

import argparse
import sys
import time

from bench import fuzz_api, fuzz_parsers, results
from bench.fuzz_targets import SLOW, TARGETS


def requests(cases: int, seed: int, only: str) -> tuple[str, str]:
    """Return the table, and the stories of what was found."""
    with fuzz_api.world() as found:
        tallies = fuzz_api.fuzz(found, cases, seed, only)
    return fuzz_api.table(tallies), fuzz_api.stories(tallies)


def parsers(inputs: int, seed: int, only: str) -> tuple[str, str]:
    """Return the table, and the ends of the logs of what was found."""
    wanted = [name for name in TARGETS if only in name]
    runs = [fuzz_parsers.fuzz(name, inputs // SLOW.get(name, 1), seed) for name in wanted]
    return fuzz_parsers.table(runs), "\n".join(f"\n--- {run.name}\n{run.found}" for run in runs if run.found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=0, help="requests in all")
    parser.add_argument("--parsers", type=int, default=0, help="inputs of each parser")
    parser.add_argument("--only", default="", help="operations or parsers whose name holds this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true", help="put the tables into bench/RESULTS.md")
    asked = parser.parse_args()
    failed = False
    for what, count, run in (("cases", asked.cases, requests), ("parsers", asked.parsers, parsers)):
        if not count:
            continue
        begun = time.monotonic()
        table, found = run(count, asked.seed, asked.only)
        print(f"{table}\n{found}\n{time.monotonic() - begun:.0f} s, seed {asked.seed}", flush=True)
        failed = failed or bool(found)
        if asked.save:
            command = f"python -m bench.fuzz --{what} {count} --seed {asked.seed}"
            results.save(f"Fuzzing: {what}", command, table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
