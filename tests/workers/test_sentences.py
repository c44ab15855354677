"""The sentences of one job on their way through the batches."""

import json

import numpy as np
import pytest

from jobs.files import DiskStore
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.states import Kind, Priority
from speech.errors import ModelError, TextError
from speech.text import Sentence
from speech.tts import Utterance
from speech.tts.engines import EngineError
from workers.batching import BatchScheduler, EngineBroken
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


class Failing(Engine):
    """Speaks all but the fifth sentence."""

    def __init__(self, error):
        super().__init__()
        self.error = error
        self.spoken = 0

    def run(self, payloads):
        for place, utterance in enumerate(super().run(payloads)):
            if self.spoken == 4:
                raise self.error
            self.spoken += 1
            yield place, utterance


@pytest.fixture
def speak(redis, tmp_path):
    """Speak sentences of a job with an engine; returns the run, whose units are in the ledger under its job."""

    def run_with(engine, count=COUNT, priority=Priority.NORMAL):
        ledger = Ledger(redis)
        spec = json.dumps({"text": "一"})
        delivery = ledger.submit(NewJob(new_id(), Kind.TTS, "tts", priority.step, "o", spec=spec)).delivery
        session = Session(ledger.claim(delivery.id, delivery.sequence, "worker"), ledger)
        scheduler = BatchScheduler(engine, max_cost=10**6, max_rows=8, linger_seconds=0.5)
        scheduler.start()
        try:
            run = SentenceRun(session, scheduler, DiskStore(tmp_path), {"demo": VOICE}, strict=False)
            assert run.prepare([SENTENCE] * count, Chosen(VOICE, "F7")) == count
            run.speak(window=16)
        finally:
            assert scheduler.stop(drain=False, timeout=30)
        return run, ledger.units(delivery.id)

    return run_with


@pytest.mark.parametrize(("priority", "runs"), [(Priority.INTERACTIVE, [1, 4]), (Priority.NORMAL, [5])])
def test_only_what_somebody_may_listen_to_begins_with_a_sentence_by_itself(speak, priority, runs):
    engine = Engine()
    _, units = speak(engine, priority=priority)
    assert engine.runs == runs
    assert [units[str(index)]["next"] for index in range(COUNT)] == [1, 2, 3, 4, -1]


def test_a_sentence_that_cannot_be_spoken_is_left_out(speak):
    run, units = speak(Failing(TextError("no such symbol")))
    assert sorted(units) == ["0", "1", "2", "3"]
    assert [warning.detail for warning in run.warnings] == ["left out '一。': no such symbol"]


@pytest.mark.parametrize(
    ("error", "raised"), [(EngineError("it could not run"), EngineBroken), (ModelError("it could not run"), ModelError)]
)
def test_an_engine_that_fails_is_no_fault_of_the_sentences(speak, error, raised):
    """They would all be left out, one after the other, and the job would succeed as a book with holes."""
    with pytest.raises(raised, match="could not run"):
        speak(Failing(error), count=12)
