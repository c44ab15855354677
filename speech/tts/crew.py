"""Cores that work side by side on rows of a batch, each with the whole network to itself.

PyTorch would rather split every single operation among its threads, and have them meet at its end. Most operations
here are too small for that, and on cores that have other work as well (a web server, other workers) each meeting waits
for the thread that the kernel has put aside: on two busy cores such a vocoder took five times the processor time of
one thread. Rows depend on nothing but themselves, so no thread need ever wait for another one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class Crew:
    """So many threads that compute on one core each; with 1, the calling thread does the work itself."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = _one_core_threads(count) if count > 1 else None

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Return ``work`` of each item, in order, the first ones begun first; raises what one of them raises."""
        alone = _in_inference_mode(work)
        return [alone(item) for item in items] if self._pool is None else list(self._pool.map(alone, items))

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[int, R]]:
        """Yield the place and ``work`` of each item as it is done; raises what one of them raises.

        They are begun in order, one a core. The next one is begun before a result is handed out, so the cores do not
        wait for whoever takes it; but no more than that, so who needs them in between waits for one item at most.
        """
        alone = _in_inference_mode(work)
        if self._pool is None:
            yield from ((place, alone(item)) for place, item in enumerate(items))
            return
        waiting = enumerate(items)
        running: dict[Future[R], int] = {}

        def begin(count: int) -> None:
            for place, item in itertools.islice(waiting, count):
                running[pool.submit(alone, item)] = place

        pool = self._pool
        begin(self.count)
        while running:
            done = wait(running, return_when=FIRST_COMPLETED).done.pop()
            place = running.pop(done)
            begin(1)
            yield place, done.result()


def _in_inference_mode(work: Callable[[T], R]) -> Callable[[T], R]:
    """Return ``work`` in the mode without gradients, which is one of the thread."""

    def alone(item: T) -> R:
        with torch.inference_mode():
            return work(item)

    return alone


def _one_core_threads(count: int) -> ThreadPoolExecutor:
    """Return a pool whose threads have all begun and compute on one core each; all other threads stay as they are."""
    usual = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, "tts-crew")
    all_are_here = Barrier(count)

    def settle(_: int) -> None:
        all_are_here.wait()
        torch.get_num_threads()  # a thread's first look takes the process's number; what is set before is lost
        torch.set_num_threads(1)

    list(pool.map(settle, range(count)))
    torch.set_num_threads(usual)  # what the process's number was; this thread's own has not changed
    return pool


def share_out(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """Split row numbers into at most ``parts`` groups of about the same size in all; none is empty."""
    groups: list[list[int]] = [[] for _ in range(min(parts, len(sizes)))]
    loads = [0] * len(groups)
    for number in sorted(range(len(sizes)), key=lambda n: -sizes[n]):
        lightest = loads.index(min(loads))
        groups[lightest].append(number)
        loads[lightest] += max(1, sizes[number])
    return groups
