"""What the ledger costs: each call beside a bare HSET of the same record, bytes a job, and the longest stalls.

    python -m bench.ledger [--jobs 10000] [--children 50000] [--save]

One client over loopback; Valkey with an append-only file, as `make run` starts it. A call is a round trip, so the
baseline is a round trip, too; the pipelined HSET shows what Valkey can take without them.
"""

import argparse
import time
from collections.abc import Callable, Iterable

from bench.results import save
from bench.servers import valkey
from jobs.connect import RedisClient, connect
from jobs.ids import child_id, new_id
from jobs.ledger import Claim, Ledger, NewJob
from jobs.record import Blob, Output, Problem
from jobs.specs import parse_spec
from jobs.states import Kind, Phase

SPEC = parse_spec(Kind.TTS, {"text": "今天天气怎么样？我们去公园散步吧。"}).model_dump_json(exclude_none=True)
RESULT = Output(files=(Blob("0" * 64, 90_000, "speech.wav", "audio/wav"),), duration_seconds=2.8)
UNIT = {"blob": RESULT.files[0].to_json(), "seconds": 2.8}


class Stalls:
    """Times calls: how many a second, and the longest of them."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}

    def each(self, name: str, call: Callable, items: Iterable) -> tuple[float, list]:
        began, answers, longest = time.perf_counter(), [], 0.0
        for item in items:
            start = time.perf_counter()
            answers.append(call(item))
            longest = max(longest, time.perf_counter() - start)
        self.longest[name] = longest
        return len(answers) / (time.perf_counter() - began), answers


def new(**fields) -> NewJob:
    return NewJob(
        **{"id": new_id(), "kind": Kind.TTS, "queue": "tts", "priority": 4, "owner": "", "spec": SPEC} | fields
    )


def baseline(redis: RedisClient, record: dict[str, str], count: int) -> tuple[float, float]:
    """HSETs a second of a job's record, one by one and pipelined."""
    one_by_one, _ = Stalls().each("hset", lambda n: redis.hset(f"bare:{n}", mapping=record), range(count))
    began = time.perf_counter()
    with redis.pipeline(transaction=False) as pipe:
        for number in range(count):
            pipe.hset(f"pipelined:{number}", mapping=record)
            if number % 500 == 499:
                pipe.execute()
        pipe.execute()
    return one_by_one, count / (time.perf_counter() - began)


def life(redis: RedisClient, ledger: Ledger, count: int, stalls: Stalls) -> tuple[list[tuple[str, float]], float]:
    """Calls a second in the life of a job, and the bytes of a queued one."""
    before = redis.info("memory")["used_memory"]
    submit, submitted = stalls.each("submit", ledger.submit, (new() for _ in range(count)))
    size = (redis.info("memory")["used_memory"] - before) / count
    claim, claims = stalls.each("claim", lambda one: ledger.claim(one.id, one.delivery.sequence, "w"), submitted)
    renew, _ = stalls.each("renew 64", lambda n: ledger.renew(claims[n : n + 64], ["tts"]), range(0, count - 64, 64))
    register, _ = stalls.each("register", lambda one: ledger.register(one, "0", UNIT, done=1, total=1), claims)
    commit, _ = stalls.each("commit", lambda one: ledger.succeed(one, RESULT), claims)
    rates = [("submit", submit), ("claim", claim), ("register", register), ("commit", commit)]
    return [*rates, ("renew, a lease", 64 * renew)], size


def family(redis: RedisClient, ledger: Ledger, children: int, stalls: Stalls) -> list[tuple[str, float]]:
    """Calls a second with a parent of many children, up to its retry and its end."""
    parent = ledger.submit(new(kind=Kind.BATCH, queue="cpu", phase=Phase.PLANNING, sums=True))
    planner = ledger.claim(parent.id, parent.delivery.sequence, "w")
    kids = (new(id=child_id(parent.id, n), parent=parent.id, index=n, priority=7) for n in range(children))
    submit, submitted = stalls.each("submit a child", ledger.submit, kids)
    ledger.wait_for_children(planner)

    def work(one) -> None:
        claim = ledger.claim(one.id, one.delivery.sequence, "w")
        assert isinstance(claim, Claim)
        ledger.register(claim, "0", UNIT, done=1, total=1)
        ledger.fail(claim, Problem("bad", "Bad", "it went wrong"))

    # The sums and the announcements of the parent are what this costs beyond a job alone.
    done, _ = stalls.each("claim, register, commit a child", work, submitted[: children // 5])
    rates = [("submit a child", submit), ("claim + register + commit of a child", done)]
    for name in ("cancel", "retry", "delete"):
        began = time.perf_counter()
        match name:
            case "cancel":
                ledger.cancel(parent.id)
            case "retry":
                ledger.retry(parent.id, lambda _: None)
            case "delete":
                ledger.delete(parent.id)
                while ledger.expire():
                    pass
        rates.append((f"{name} of the parent, a child", children / (time.perf_counter() - began)))
    return rates


def longest_script(redis: RedisClient) -> str:
    """The script that stopped Valkey longest, and for how long."""
    entries = [entry for entry in redis.slowlog_get(1000) if entry["command"].startswith(b"EVALSHA")]
    if not entries:
        return "none of a millisecond"
    slowest = max(entries, key=lambda entry: entry["duration"])
    return f"{slowest['duration'] / 1000:.0f} ms ({slowest['command'].split()[3].decode()})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--children", type=int, default=50_000)
    parser.add_argument("--save", action="store_true", help="write bench/RESULTS.md")
    chosen = parser.parse_args()
    stalls = Stalls()
    with valkey() as url:
        redis = connect(url)
        sample = Ledger(redis).submit(new())
        bare, pipelined = baseline(redis, redis.hgetall(f"vq:job:{sample.id}"), chosen.jobs)
    with valkey() as url:
        rates, size = life(connect(url), Ledger(connect(url)), chosen.jobs, stalls)
    with valkey() as url:
        redis = connect(url)
        redis.config_set("slowlog-log-slower-than", 1000)
        redis.config_set("slowlog-max-len", 1000)
        many = family(redis, Ledger(redis), chosen.children, stalls)
        script = longest_script(redis)
    lines = ["| call | a second | of a bare HSET |", "| --- | --- | --- |"]
    lines += [f"| HSET of a job's record | {bare:.0f} | 1.00× |", f"| the same, pipelined | {pipelined:.0f} | – |"]
    lines += [f"| {name} | {rate:.0f} | {rate / bare:.2f}× |" for name, rate in rates]
    lines += [f"| {name}, of {chosen.children} | {rate:.0f} | {rate / bare:.2f}× |" for name, rate in many]
    stall = max(stalls.longest, key=stalls.longest.__getitem__)
    text = "\n".join(lines) + (
        f"\n\nA queued job takes {size:.0f} bytes of Valkey's memory ({len(SPEC.encode())} of them its spec). "
        f"Longest script: {script}. Longest call of a client: {stalls.longest[stall] * 1000:.0f} ms ({stall})."
    )
    print(text)
    if chosen.save:
        save("The ledger", "python -m bench.ledger", text)


if __name__ == "__main__":
    main()
