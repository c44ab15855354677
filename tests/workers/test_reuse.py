"""Jobs answered with kept results: only identical work of the same owner, only where client and server allow it."""

import pytest

from jobs.ids import new_id
from jobs.ledger import NewJob
from jobs.record import Output
from jobs.reuse import KeptResults
from jobs.settings import Settings
from jobs.specs import STTSpec, TTSSpec
from jobs.states import Kind
from speech.errors import ModelError
from tests.workers.household import Household
from workers.reuse import Reusing, _program, checkpoint


class Works:
    """Does jobs and counts how often it really worked."""

    def __init__(self, redis, settings):
        self.house = Household(redis, settings)
        self.reusing = Reusing(KeptResults(redis, self.house.store, settings.reuse_bytes))
        self.made = 0
        self.work = {"voices": "abc"}

    def do(self, owner="ann", **fields):
        spec = (TTSSpec if "text" in fields else STTSpec)(**{"reuse": True, **fields})
        job_id = new_id()
        new = NewJob(job_id, Kind.TTS, "tts", 4, owner, spec.model_dump_json())
        delivery = self.house.ledger.submit(new).delivery

        def make(session):
            self.made += 1
            blob = self.house.store.put(job_id, b"sound %d" % self.made, name="speech.wav", media_type="audio/wav")
            return Output((blob,), duration_seconds=1.0)

        def handler(session):
            return self.reusing.answer(session, spec, lambda: self.work, lambda: make(session))

        self.house.runner.run(job_id, delivery.sequence, handler)
        return self.house.queries.get(job_id)


@pytest.fixture
def works(redis, tmp_path):
    return Works(redis, Settings(data_dir=tmp_path, reuse_bytes=10_000))


def test_a_result_is_kept_before_its_job_is_seen_to_succeed(works, monkeypatch):
    """Whoever sees it succeed may ask for the same at once."""
    commit, kept = works.house.ledger.succeed, []

    def succeed(claim, output):
        kept.append(works.house.redis.hlen("vq:reuse"))
        return commit(claim, output)

    monkeypatch.setattr(works.house.ledger, "succeed", succeed)
    works.do(text="你好。")
    assert kept == [1]


def test_identical_work_is_answered_with_the_kept_result(works):
    first = works.do(text="你好。")
    again = works.do(text="你好。", priority="bulk", metadata={"a": "b"}, timeout_seconds=9)
    assert works.made == 1
    assert "reused" not in first.output
    assert again.output["reused"] == first.id
    assert again.status == "succeeded"
    assert (again.done, again.total) == (1, 1)
    assert again.output_files == first.output_files
    works.house.store.remove_job(first.id)
    assert works.house.read(again.id, "speech.wav") == b"sound 1"


@pytest.mark.parametrize(
    "other",
    [
        {"text": "你好！"},
        {"speed": 1.1},
        {"format": "mp3"},
        {"voice": "other"},
        {"subtitles": ["srt"]},
        {"owner": "bob"},
    ],
    ids=str,
)
def test_other_work_is_done(works, other):
    works.do(text="你好。")
    assert "reused" not in works.do(**{"text": "你好。", **other}).output
    assert works.made == 2


def test_another_checkpoint_is_other_work(works):
    works.do(text="你好。")
    works.work = {"voices": "def"}
    works.do(text="你好。")
    assert works.made == 2


def test_who_does_not_ask_gets_and_leaves_nothing(works):
    works.do(text="你好。", reuse=False)
    works.do(text="你好。")
    works.do(text="你好。", reuse=False)
    assert works.made == 3


def test_a_server_that_keeps_nothing_does_the_work(redis, tmp_path):
    works = Works(redis, Settings(data_dir=tmp_path))
    works.do(text="你好。")
    works.do(text="你好。")
    assert works.made == 2
    assert redis.keys("vq:reuse*") == []


def test_where_the_recording_came_from_does_not_matter(works):
    works.work = {"recording": "hash"}
    works.do(url="https://example.com/a.wav")
    assert works.do(store="b.wav").output["reused"]


def test_what_cannot_be_had_is_done(works):
    first = works.do(text="你好。")
    works.house.store.remove_job(works.reusing.kept.find(works.house.redis.hkeys("vq:reuse")[0]).home)
    assert works.do(text="你好。").output.get("reused") is None
    assert works.do(text="你好。").output["reused"] != first.id


def test_a_model_that_there_is_not_is_left_to_the_work_to_tell(works):
    def work():
        raise ModelError("no such model")

    done = works.reusing.answer(None, TTSSpec(text="a", reuse=True), work, lambda: Output(text="done"))
    assert done.text == "done"


def test_another_version_of_what_makes_results_is_other_work(works, monkeypatch, tmp_path):
    rooms = [tmp_path / "rooms" / name for name in ("speech", "workers")]
    for room in rooms:
        room.mkdir(parents=True)
        (room / "code.py").write_text("one")
    monkeypatch.setattr("workers.reuse.PROGRAM", rooms)
    for number, room in enumerate([None, *rooms], 1):
        if room is not None:
            (room / "code.py").write_text("two")
        _program.cache_clear()
        works.do(text="你好。")
        works.do(text="你好。")
        assert works.made == number
    _program.cache_clear()


def test_a_checkpoint_is_known_by_its_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "am").mkdir(parents=True)
        (tmp_path / name / "am" / "model.pt").write_bytes(b"weights")
    same = checkpoint(tmp_path / "one")
    assert checkpoint(tmp_path / "two") == same
    (tmp_path / "two" / "am" / "model.pt").write_bytes(b"Weights")
    assert checkpoint(tmp_path / "two") != same
    (tmp_path / "one" / "am" / "model.pt").rename(tmp_path / "one" / "model.pt")
    assert checkpoint(tmp_path / "one") != same
