"""Sending deliveries through Celery, and looking at the broker's lists.

The lists are kombu's: one Redis list per queue and priority step, pushed on the left and popped on the right.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery

from jobs.answers import DueCall
from jobs.connect import RedisClient
from jobs.ledger import PORTION, Delivery, Ledger
from jobs.states import Kind, Phase

log = logging.getLogger(__name__)
QUEUES = ("tts", "stt", "cpu")
STEPS = range(10)
WEBHOOK_STEP = 4
SEPARATOR = ":"
AT_ONCE = 200
"""Messages that are sent in one round trip."""
HEADS = 5
"""Messages at the end of a list among which one of ours is looked for; somebody may have put others there."""
PORTIONS = 10
"""Portions of lost messages of a list that are found at once: sending takes seconds, and the dead must not wait."""
UNKNOWN = 1
"""As the oldest message: nothing is older than the first sequence number, so nothing is taken for lost."""
QUEUE_OF = {
    Kind.TTS: "tts",
    Kind.CHAPTER: "tts",
    Kind.STT: "stt",
    Kind.AUDIOBOOK: "cpu",
    Kind.TRANSCRIPTS: "cpu",
    Kind.BATCH: "cpu",
}


def list_name(queue: str, step: int) -> str:
    """Return the key of the broker's list."""
    return queue if step == 0 else f"{queue}{SEPARATOR}{step}"


def task_of(delivery: Delivery) -> tuple[str, str]:
    """Return the name and the ID of the Celery task; the ID is the job's, so Flower shows it."""
    match delivery.phase:
        case Phase.PLANNING:
            return "plan", f"{delivery.id}.plan"
        case Phase.ASSEMBLING:
            return "assemble", f"{delivery.id}.assemble"
    return ("tts" if delivery.kind is Kind.CHAPTER else delivery.kind.value), delivery.id


@dataclass(frozen=True)
class Message:
    """A Celery message."""

    task: str
    task_id: str
    arguments: tuple[str | int, ...]
    queue: str
    step: int
    headers: dict[str, int]

    @classmethod
    def of(cls, delivery: Delivery) -> Message:
        """Return the message of a delivery."""
        task, task_id = task_of(delivery)
        arguments = (delivery.id, delivery.sequence)
        return cls(task, task_id, arguments, delivery.queue, delivery.step, {"sequence": delivery.sequence})

    @classmethod
    def of_webhook(cls, call: DueCall) -> Message:
        """Return the message of a webhook's call. Its sequence tells `oldest` what came before it."""
        arguments = (call.id, call.number)
        return cls("webhook", f"{call.id}.webhook", arguments, "cpu", WEBHOOK_STEP, {"sequence": call.sequence})


class Broker:
    """Sends messages and reads the lists. Thread-safe.

    All threads share one producer, in turn. Celery's pool of ten would make a burst of submits open ten connections and
    wait for them in no order: at 300 submits a second some waited for half a second.
    """

    def __init__(self, celery: Celery, redis: RedisClient) -> None:
        self._celery = celery
        self._redis = redis
        self._turn = threading.Lock()
        self._producer: Any = None

    def send(self, deliveries: Iterable[Delivery]) -> None:
        """Send a message for each. A failure is logged, not raised: the job is in the ledger, the sweeper sends it."""
        self._send([Message.of(delivery) for delivery in deliveries])

    def call_webhooks(self, calls: Iterable[DueCall]) -> None:
        """Have webhooks called. A failure is logged: they stay due in the ledger."""
        self._send([Message.of_webhook(call) for call in calls])

    def _send(self, due: list[Message]) -> None:
        for begin in range(0, len(due), AT_ONCE):
            try:
                self._publish(due[begin : begin + AT_ONCE])
            except Exception as error:  # noqa: BLE001 - kombu raises its own, redis-py's and the socket's errors
                left, first = len(due) - begin, due[begin].task_id
                log.error("sending %s failed (%s); the sweeper will send %d messages", first, error, left)  # noqa: TRY400 - the broker is away, a trace tells no more
                return

    def _publish(self, portion: list[Message]) -> None:
        with self._turn:
            try:
                self._publish_once(portion)
            except Exception as error:  # noqa: BLE001 - as in `_send`; the connection may be of before a restart of Redis
                # Some of them may have come through: a second copy finds nothing to do.
                log.info("sending %s again over a new connection (%s)", portion[0].task_id, error)
                self._producer = None
                self._publish_once(portion)

    def _publish_once(self, portion: list[Message]) -> None:
        """Publish messages, and Celery's events about them, in one round trip."""
        if self._producer is None:
            self._producer = self._celery.amqp.Producer(self._celery.connection_for_write(), auto_declare=False)
        with self._producer.batch(max_size=4 * AT_ONCE):
            for message in portion:
                self._celery.send_task(
                    message.task,
                    args=message.arguments,
                    task_id=message.task_id,
                    queue=message.queue,
                    priority=message.step,
                    headers=message.headers,
                    retry=False,
                    producer=self._producer,
                )

    def oldest(self, queue: str, step: int) -> int:
        """Return the sequence number of our message that is popped next, 0 if the list is empty, else `UNKNOWN`.

        That of a webhook's message is newer than all deliveries which were made due before it.
        """
        messages = self._redis.lrange(list_name(queue, step), -HEADS, -1)
        if not messages:
            return 0
        numbers = (json.loads(message)["headers"].get("sequence") for message in reversed(messages))
        return next((int(number) for number in numbers if number is not None), UNKNOWN)

    def find_lost(self, ledger: Ledger, grace_seconds: float, queues: Sequence[str] = QUEUES) -> list[Delivery]:
        """Return anew the deliveries whose message is in no list, and was in none `grace_seconds` ago.

        Looks at few messages a list, whatever its length. Of very many that are lost, returns some thousand at once.
        """
        found: list[Delivery] = []
        for queue in queues:
            for step in STEPS:
                for _ in range(PORTIONS):
                    portion = ledger.lost(queue, step, self.oldest(queue, step), grace_seconds)
                    found += portion
                    if len(portion) < PORTION:
                        break
        return found
