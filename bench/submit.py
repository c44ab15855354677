"""How many jobs a second the front end takes, with no worker running, beside a bare Flask route under the same server.

`python -m bench.submit` prints a table. Aim: ≥ 300 jobs/s with p99 < 50 ms on two cores.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile

from flask import Flask, jsonify, request

from bench.load import Result, closed_loop, open_loop
from bench.servers import gunicorn, valkey

CONNECTIONS = 8
REQUESTS = 3000
AIM_RATE, AIM_P99 = 300, 0.050
SENTENCE = "今天天气很好，我们去公园。"


def bare() -> Flask:
    """The least that Flask can do with the same request."""
    app = Flask("bare")

    @app.post("/v1/tts")
    def echo():
        return jsonify({"text": request.get_json()["text"]}), 202

    return app


def body(number: int) -> bytes:
    return json.dumps({"text": f"{SENTENCE}第{number}句。"}).encode()


def measure(url: str) -> tuple[Result, Result]:
    """All it can do, and then the aim's rate, arriving evenly."""
    asyncio.run(closed_loop(url, "/v1/tts", body, connections=CONNECTIONS, requests=200))  # warm up
    most = asyncio.run(closed_loop(url, "/v1/tts", body, connections=CONNECTIONS, requests=REQUESTS))
    steady = asyncio.run(open_loop(url, "/v1/tts", body, rate=AIM_RATE, seconds=10))
    return most, steady


def row(name: str, result: Result) -> str:
    p50, p99 = result.quantile(0.5) * 1000, result.quantile(0.99) * 1000
    return f"| {name} | {result.rate:.0f} | {p50:.1f} | {p99:.1f} | {dict(result.statuses)} |"


def main() -> int:
    with valkey() as redis_url, tempfile.TemporaryDirectory() as folder:
        environment = {"VOXQUEUE_REDIS_URL": redis_url, "VOXQUEUE_DATA_DIR": folder, "VOXQUEUE_API_KEYS": ""}
        with gunicorn("bench.submit:bare()", environment) as url:
            bare_most, bare_steady = measure(url)
        with gunicorn("app:create_app()", environment) as url:
            most, steady = measure(url)
    print("| server | requests/s | p50 ms | p99 ms | answers |\n| --- | --- | --- | --- | --- |")
    print(row(f"bare Flask route, {CONNECTIONS} connections", bare_most))
    print(row(f"POST /v1/tts, {CONNECTIONS} connections", most))
    print(row(f"bare Flask route, {AIM_RATE}/s arriving", bare_steady))
    print(row(f"POST /v1/tts, {AIM_RATE}/s arriving", steady))
    print(f"\nA submit costs {bare_most.rate / most.rate:.2f} bare requests.")
    fine = most.rate >= AIM_RATE and steady.quantile(0.99) < AIM_P99 and set(most.statuses) == {202}
    print(f"Aim of {AIM_RATE} jobs/s with p99 < {AIM_P99 * 1000:.0f} ms: {'met' if fine else 'MISSED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
