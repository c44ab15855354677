"""A few hundred requests by the OpenAPI document to the real web process; `python -m bench.fuzz` sends thousands."""

import pytest

from bench.fuzz_api import fuzz, stories, world

CASES = 200


@pytest.mark.slow
def test_no_request_is_answered_otherwise_than_documented():
    with world() as found:
        tallies = fuzz(found, CASES, number=20)
    assert stories(tallies) == ""
    sent = {name: tally.cases for name, tally in tallies.items()}
    assert min(sent.values()) >= CASES // len(sent) - 1, sent
    assert 500 not in {status for tally in tallies.values() for status in tally.statuses}
    assert sum(tally.hits for tally in tallies.values()) > CASES // 10, "IDs of jobs that are there"
