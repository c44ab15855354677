"""STT jobs in a worker: real ledger, store and scheduler, and the demo recogniser."""

import io
import json
import queue
import threading

import numpy as np
import pytest
import soundfile
import srt

from jobs.files import DiskStore
from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.queries import Queries
from jobs.reuse import KeptResults
from jobs.settings import Settings
from jobs.states import Kind, Status
from speech.subtitles import width
from tests.speech.stt.conftest import RATE, said
from workers.batching import BatchScheduler
from workers.gate import Gate
from workers.leases import LeaseKeeper
from workers.listening import Listener
from workers.recognizers import RecognizerEngine
from workers.reuse import Reusing
from workers.runner import Runner
from workers.session import Wish

pytestmark = pytest.mark.slow
PATIENCE = 60
ALL = 10**6


class Sent(list):
    """Stands where the broker stands: keeps the deliveries that were sent."""

    def send(self, deliveries):
        self.extend(deliveries)


class Noting:
    """The demo recogniser, with a note of the chunks of each run; each takes a ticket."""

    def __init__(self, settings):
        self.inner = RecognizerEngine(settings, threads=1)
        self.runs = []
        self.tickets = threading.Semaphore(ALL)
        self.entered = threading.Semaphore(0)
        self.cost, self.bucket, self.load = self.inner.cost, self.inner.bucket, self.inner.load

    def run(self, payloads):
        self.runs.append(list(payloads))
        self.entered.release()
        assert self.tickets.acquire(timeout=PATIENCE)
        return self.inner.run(payloads)


def wav(audio):
    sound = io.BytesIO()
    soundfile.write(sound, audio, RATE, format="WAV")
    return sound.getvalue()


class Worker:
    def __init__(self, redis, folder):
        settings = Settings(stt_model="demo", device="cpu", data_dir=folder)
        self.ledger, self.queries, self.store = Ledger(redis), Queries(redis), DiskStore(folder)
        self.engine = Noting(settings)
        self.scheduler = BatchScheduler(self.engine, max_cost=10**9, max_rows=4, linger_seconds=0)
        self.scheduler.start()
        self.leases = LeaseKeeper(self.ledger, "stt", threads=4, slice_seconds=60)
        self.leases.start()
        self.runner = Runner(self.ledger, Sent(), self.leases, Gate(), "worker")
        reusing = Reusing(KeptResults(redis, self.store, 0))
        self.listener = Listener(self.engine.inner, self.scheduler, self.store, reusing, settings, window=8)

    def submit(self, audio, **spec):
        return self.submit_file(wav(audio), **spec)

    def submit_file(self, data, **spec):
        job_id = new_id()
        blob = self.store.put(job_id, data, name="talk.wav")
        new = NewJob(job_id, Kind.STT, "stt", 4, "o", spec=json.dumps({"language": "zh", **spec}), inputs=(blob,))
        return self.ledger.submit(new).delivery

    def start(self, delivery):
        """Run a delivery in a thread of its own; returns the thread, and a queue that gets the session at once."""
        sessions = queue.SimpleQueue()

        def listen(session):
            sessions.put(session)
            return self.listener(session)

        thread = threading.Thread(target=self.runner.run, args=(delivery.id, delivery.sequence, listen))
        thread.start()
        return thread, sessions

    def file(self, job, name):
        blob = next(file for file in job.output["files"] if file["name"] == name)
        return (self.store.root / job.id[-2:] / job.id / blob["key"]).read_text("utf-8")

    def end(self):
        self.engine.tickets.release(ALL)
        self.leases.stop()
        self.scheduler.stop(False)


@pytest.fixture
def worker(redis, tmp_path):
    made = Worker(redis, tmp_path)
    yield made
    made.end()


def ended(worker, delivery, thread):
    thread.join(PATIENCE)
    job = worker.queries.get(delivery.id)
    assert job.status is Status.SUCCEEDED, job.error
    return job


def test_subtitles_have_the_lines_that_the_request_wants(worker):
    text, audio = said([5, 2])
    delivery = worker.submit(audio, formats=["srt", "lrc"], max_line_width=12, max_line_count=1)
    thread, _ = worker.start(delivery)
    job = ended(worker, delivery, thread)
    cues = list(srt.parse(worker.file(job, "talk.srt")))
    sung = [line.partition("]")[2] for line in worker.file(job, "talk.lrc").splitlines()]

    assert "".join(cue.content for cue in cues) == "".join(sung) == text
    assert max(width(line) for line in [*sung, *(cue.content for cue in cues)]) <= 12


def test_where_nobody_speaks_a_job_succeeds_without_words(worker):
    t = np.arange(5 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220, 277, 330)) * 0.1
    for audio in (np.zeros(0), np.zeros(160), np.zeros(3 * RATE), chord):
        delivery = worker.submit(audio, formats=["json", "srt"], language=None)
        job = ended(worker, delivery, worker.start(delivery)[0])
        assert job.output["text"] == ""
        assert worker.file(job, "talk.srt").strip() == ""


def test_a_recording_that_breaks_off_is_heard_so_far_and_the_job_says_where(worker):
    text, audio = said([1, 3])
    whole = wav(audio)
    delivery = worker.submit_file(whole[: len(whole) * 3 // 5])
    job = ended(worker, delivery, worker.start(delivery)[0])
    assert job.output["text"][:11] == text[:11]
    [warning] = job.output["warnings"]
    assert warning["code"] == "truncated"
    assert warning["at"] == pytest.approx(len(audio) / RATE * 3 / 5, abs=0.1)


def test_a_job_whose_chunks_wait_for_each_other_leaves_the_others_their_batches(worker):
    carrying_text, carrying = said([1, 3, 0, 2])
    text, audio = said([5, 2, 3, 1, 3])
    worker.engine.tickets = threading.Semaphore(0)
    first = worker.submit(carrying, condition_on_previous_text=True)
    second = worker.submit(audio)
    threads = [worker.start(delivery)[0] for delivery in (first, second)]
    worker.engine.tickets.release(ALL)
    jobs = [ended(worker, *pair) for pair in zip((first, second), threads, strict=True)]

    assert [job.output["text"] for job in jobs] == [carrying_text, text]
    prompted = [
        [chunk.options.prompt for chunk in run if chunk.options.condition_on_previous_text]
        for run in worker.engine.runs
    ]
    assert max(map(len, prompted)) == 1, "one chunk after the other"
    prompts = [prompt for run in prompted for prompt in run]
    assert len(prompts) >= 2
    assert prompts[0] is None
    assert all(carrying_text.startswith(prompt) for prompt in prompts[1:])
    assert max(len(run) for run in worker.engine.runs) > 1, "the other job's chunks share a run"


def test_what_was_finished_before_the_worker_ended_is_not_heard_again(worker):
    _, audio = said([1, 3, 0, 2, 6, 4, 5, 2, 3, 1, 0, 2])
    undisturbed = worker.submit(audio, condition_on_previous_text=True)
    text = ended(worker, undisturbed, worker.start(undisturbed)[0]).output["text"]
    worker.engine.runs.clear()
    worker.engine.entered = threading.Semaphore(0)
    delivery = worker.submit(audio, condition_on_previous_text=True)  # a chunk a run
    worker.engine.tickets = threading.Semaphore(1)
    thread, sessions = worker.start(delivery)
    session = sessions.get(timeout=PATIENCE)
    for _ in range(2):  # the second run has begun, so the first one's chunk is in the journal
        assert worker.engine.entered.acquire(timeout=PATIENCE)
    session.want(Wish.DRAIN)
    worker.engine.tickets.release(ALL)
    thread.join(PATIENCE)
    released = worker.queries.get(delivery.id)
    assert released.status is Status.QUEUED
    done = set(worker.ledger.units(delivery.id))
    assert len(done) == 2, "that of the running batch is kept, too"
    assert 0 < released.done < released.total
    assert released.unit == "second"

    before = [chunk.unit for run in worker.engine.runs for chunk in run]
    again = worker.runner._broker[-1]
    thread, _ = worker.start(again)
    job = ended(worker, again, thread)
    after = [chunk.unit for run in worker.engine.runs for chunk in run][len(before) :]
    assert not done & set(after)
    assert job.output["text"] == text
    assert job.done == job.total == round(len(audio) / RATE)


@pytest.mark.parametrize("options", [{}, {"language": None}, {"vad": False}])
def test_those_who_read_along_are_told_the_words_in_order_also_over_a_new_attempt(worker, options):
    """Without speech detection windows are cut in shorter pauses, and in sentences."""
    text, audio = said([1, 3, 0, 2, 6, 4, 5, 2, 3, 1, 0, 2], 0.6 if options.get("vad", True) else 0.05)
    told = {}
    register = worker.ledger.register

    def note(claim, name, unit, **progress):
        if "said" in unit:
            assert unit["said"]["at"] not in told, "nothing is told twice"
            told[unit["said"]["at"]] = unit["said"]["text"]
        register(claim, name, unit, **progress)

    worker.ledger.register = note
    delivery = worker.submit(audio, **options)
    worker.engine.tickets = threading.Semaphore(1)
    thread, sessions = worker.start(delivery)
    session = sessions.get(timeout=PATIENCE)
    for _ in range(2):
        assert worker.engine.entered.acquire(timeout=PATIENCE)
    session.want(Wish.DRAIN)
    worker.engine.tickets.release(ALL)
    thread.join(PATIENCE)
    again = worker.runner._broker[-1]
    job = ended(worker, again, worker.start(again)[0])

    assert job.output["text"] == text
    assert len(told) > 1
    places = sorted(told)
    assert places == [sum(len(told[before]) for before in places if before < at) for at in places]
    assert "".join(told[at] for at in places) == text
