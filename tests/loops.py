"""Coroutines from tests that are none."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def run(coroutine):
    """Run it on a thread of its own: the browser's tests leave a loop running in this one, whatever their place."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
