"""A task that was revoked in Flower is a cancelled job."""

from types import SimpleNamespace

from jobs.ids import new_id
from jobs.ledger import Ledger, NewJob
from jobs.queries import Queries
from jobs.states import Kind, Status
from workers.revoking import cancel_revoked


def test_revoking_a_queued_task_cancels_its_job_and_a_second_time_does_nothing(redis):
    ledger = Ledger(redis)
    job_id = ledger.submit(NewJob(id=new_id(), kind=Kind.TTS, queue="tts", priority=4, owner="o", spec="{}")).id
    sent = []
    process = SimpleNamespace(ledger=ledger, broker=SimpleNamespace(send=sent.extend))
    for task_id in (job_id, f"{job_id}.plan"):
        cancel_revoked(process, SimpleNamespace(id=task_id))
        assert Queries(redis).get(job_id).status is Status.CANCELED
    assert sent == []
