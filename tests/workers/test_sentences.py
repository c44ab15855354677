"""The sentences of one job on their way through the batches."""

import json

import numpy as np
import pytest

from jobs.files import DiskStore
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.states import Kind, Priority
from speech.text import Sentence
from speech.tts import Utterance
from workers.batching import BatchScheduler
from workers.catalogue import Chosen, VoiceEntry
from workers.sentences import SentenceRun
from workers.session import Session

COUNT = 5
VOICE = VoiceEntry("demo", ("F7",), ("neutral",), 16000)
SENTENCE = Sentence("一。", "{symbols}")


class Engine:
    """Speaks a hundred samples a sentence, and notes how many share a run."""

    def __init__(self):
        self.runs = []

    def cost(self, _):
        return 1

    def bucket(self, _):
        return 0

    def run(self, payloads):
        self.runs.append(len(payloads))
        return [Utterance(np.zeros(100, np.float32), np.ones(1, np.int32), 100, 16000) for _ in payloads]


@pytest.mark.parametrize(("priority", "runs"), [(Priority.INTERACTIVE, [1, 4]), (Priority.NORMAL, [5])])
def test_only_what_somebody_may_listen_to_begins_with_a_sentence_by_itself(redis, tmp_path, priority, runs):
    ledger, engine = Ledger(redis), Engine()
    delivery = ledger.submit(
        NewJob(new_id(), Kind.TTS, "tts", priority.step, "o", spec=json.dumps({"text": "一"}))
    ).delivery
    session = Session(ledger.claim(delivery.id, delivery.sequence, "worker"), ledger)
    scheduler = BatchScheduler(engine, max_cost=10**6, max_rows=8, linger_seconds=0.5)
    scheduler.start()
    try:
        run = SentenceRun(session, scheduler, DiskStore(tmp_path), {"demo": VOICE}, strict=False)
        assert run.prepare([SENTENCE] * COUNT, Chosen(VOICE, "F7")) == COUNT
        run.speak(window=16)
    finally:
        assert scheduler.stop(drain=False, timeout=30)
    assert engine.runs == runs
    units = ledger.units(delivery.id)
    assert [units[str(index)]["next"] for index in range(COUNT)] == [1, 2, 3, 4, -1]
