"""The parsers of what strangers send: every seed, what fuzzing has found, and random damage to both."""

import random

import pytest

from bench.fuzz_parsers import LONGEST_BYTES, SEEDS
from bench.fuzz_targets import SLOW, TARGETS

MUTATIONS = 240


def seeds_of(name):
    return [path.read_bytes() for path in sorted((SEEDS / name).iterdir())]


def damaged(data, other, rng):
    """Return data with pieces lost, doubled, exchanged and bytes changed."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(found) + 1), rng.choice([1, 1, 2, 4, 16])
        match rng.randrange(5):
            case 0:
                found[at : at + length] = rng.randbytes(length)
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length] * rng.choice([1, 8])
            case 3:
                start = rng.randrange(len(other) + 1)
                found[at:at] = other[start : start + 4 * length]
            case 4:
                found[at : at + length] = rng.choice(
                    [b"\0", b"\xff\xff\xff\xff", b"\r\n", "\ud800".encode("utf-8", "surrogatepass"), b"-1"]
                )
    return bytes(found[: 2 * LONGEST_BYTES])


def test_every_target_has_seeds_and_every_seed_a_target():
    assert {path.name for path in SEEDS.iterdir()} == set(TARGETS)
    assert all(any((SEEDS / name).iterdir()) for name in TARGETS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_read_or_refused(name):
    target, seeds, rng = TARGETS[name](), seeds_of(name), random.Random(name)
    for data in seeds:
        target(data)
    for _ in range(max(20, MUTATIONS // SLOW.get(name, 1))):
        data = damaged(rng.choice(seeds), rng.choice(seeds), rng)
        try:
            target(data)
        except Exception as error:  # noqa: BLE001 - which one is the finding
            pytest.fail(f"{error!r} at {data!r}; put it into tests/fuzz/seeds/{name}")
