"""What has happened, counted for good in Redis: no restart of a web process or a worker takes it back.

The ledger's script counts the ends of jobs as it commits them; workers add what their engines did every two seconds (a
killed process takes the last two seconds of these with it). Reading takes the same few commands however many jobs there
are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.broker import QUEUES, STEPS, list_name
from jobs.connect import RedisClient
from jobs.ledger import PREFIX
from jobs.states import Kind, Status

DEFAULT_RATES = {"tts": 0.02, "stt": 0.2}
"""Engine seconds for a character or a second of audio, until some were measured."""
ENOUGH = {"tts": 200, "stt": 60}
"""Characters or seconds of audio after which a measured rate is believed."""
Sums = Mapping[str, float]


@dataclass(frozen=True)
class Buckets:
    """A histogram as Prometheus has it: cumulative counts by upper bound, the last bound infinite, and the sum."""

    counts: list[tuple[str, float]]
    sum: float


def buckets(sums: Sums, name: str, bounds: tuple[float, ...]) -> Buckets:
    """Return the histogram `name` of some sums."""
    found, total = [], 0.0
    for bound in (*bounds, math.inf):
        total += sums.get(f"{name}:{bound:.14g}", 0.0)
        found.append(("+Inf" if bound == math.inf else f"{bound:.14g}", total))
    return Buckets(found, sums.get(f"{name}_sum", 0.0))


@dataclass(frozen=True)
class Picture:
    """Everything at one moment."""

    jobs: dict[tuple[Kind, Status], int]
    """Jobs without a parent, until they expire."""
    waiting: dict[tuple[str, int], int]
    """Deliveries that wait, by queue and priority step."""
    messages: dict[str, int]
    """Messages in the broker's lists, by queue."""
    characters: float
    """Of the texts whose jobs have not ended."""
    audio_seconds: float
    """Of the recordings whose jobs have not ended."""
    held: dict[str, int]
    """What is held, and how many jobs were put aside for it."""
    ended: dict[Kind, Sums]
    engines: dict[str, Sums]

    def rate(self, queue: str) -> float:
        """Engine seconds for a character (tts) or a second of audio (stt), measured if there is enough."""
        kinds = (Kind.TTS, Kind.CHAPTER) if queue == "tts" else (Kind.STT,)
        done = sum(self.ended[kind].get("characters" if queue == "tts" else "audio", 0.0) for kind in kinds)
        busy = self.engines[queue].get("busy", 0.0)
        return busy / done if done >= ENOUGH[queue] and busy else DEFAULT_RATES[queue]

    def backlog_seconds(self, queue: str) -> float:
        """Seconds in which one worker's engine would do what is queued or running."""
        return (self.characters if queue == "tts" else self.audio_seconds) * self.rate(queue)

    def realtime_factor(self, queue: str) -> float | None:
        """Engine seconds for a second of audio, over all that was ever done; None before."""
        kinds = (Kind.TTS, Kind.CHAPTER) if queue == "tts" else (Kind.STT,)
        audio = sum(self.ended[kind].get("audio", 0.0) for kind in kinds)
        return self.engines[queue].get("busy", 0.0) / audio if audio else None


class Figures:
    """The figures of one Redis database."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    def add(self, name: str, sums: Sums) -> None:
        """Add to the figures of an engine or a worker's kind. A call that redis-py repeats may count twice."""
        with self._redis.pipeline(transaction=True) as pipe:
            for field, by in sums.items():
                if by:
                    pipe.hincrbyfloat(f"{PREFIX}figures:worker:{name}", field, by)
            pipe.execute()

    def picture(self) -> Picture:
        """Return all figures, by two round trips."""
        held = sorted(self._redis.smembers(f"{PREFIX}held"))
        steps = [(queue, step) for queue in QUEUES for step in STEPS]
        states = [(kind, status) for kind in Kind for status in Status]
        with self._redis.pipeline(transaction=False) as pipe:
            for kind, status in states:
                pipe.zcard(f"{PREFIX}list:*:{kind}:{status}")
            for queue, step in steps:
                pipe.zcard(f"{PREFIX}waiting:{queue}:{step}")
            for queue, step in steps:
                pipe.llen(list_name(queue, step))
            for what in held:
                pipe.zcard(f"{PREFIX}parked:{what}")
            pipe.hget(f"{PREFIX}characters", "*")
            pipe.hget(f"{PREFIX}seconds", "*")
            for kind in Kind:
                pipe.hgetall(f"{PREFIX}figures:{kind}")
            for queue in QUEUES:
                pipe.hgetall(f"{PREFIX}figures:worker:{queue}")
            answers = iter(pipe.execute())
        jobs = {state: int(next(answers)) for state in states}
        waiting = {place: int(next(answers)) for place in steps}
        messages = dict.fromkeys(QUEUES, 0)
        for queue, _ in steps:
            messages[queue] += int(next(answers))
        parked = {what: int(next(answers)) for what in held}
        characters, seconds = float(next(answers) or 0), float(next(answers) or 0)
        ended = {kind: _numbers(next(answers)) for kind in Kind}
        engines = {queue: _numbers(next(answers)) for queue in QUEUES}
        return Picture(jobs, waiting, messages, characters, seconds, parked, ended, engines)


def _numbers(raw: Mapping[str, str]) -> Sums:
    return {name: float(value) for name, value in raw.items()}
